"""How a listener takes what the user does while its last answer is still pending: Gradio would drop it."""

from typing import Any, Final

#: For controls: the last value is answered once the pending answer is there.
CHANGED: Final[dict[str, Any]] = {"trigger_mode": "always_last"}
#: For clicks that say what was clicked: each is answered, in their order. The last alone cannot be: Gradio would send
#: the data of the first again.
CLICKED: Final[dict[str, Any]] = {"trigger_mode": "multiple"}
