"""What a tab may ask about the sessions that the server keeps. The server hands it over: tabs import no server."""

from typing import Any, Protocol


class SessionValues(Protocol):
    """Values that are kept of each session, by its name (`gr.Request.session_hash`)."""

    def value(self, name: str, state: Any) -> Any:
        """The value of a `gr.State`; None if the session has none."""

    def is_closed(self, name: str) -> bool:
        """Whether the session's page was closed."""

    def forget_value(self, name: str, state: Any) -> Any:
        """Drop the value of a `gr.State` and return it; None if the session has none."""
