"""What a tab may ask about the sessions that the server keeps. The server hands it over: tabs import no server."""

from collections.abc import Iterable
from typing import Any, Protocol


class SessionValues(Protocol):
    """Values that are kept of each session, by its name (`gr.Request.session_hash`)."""

    def value(self, name: str, state: Any) -> Any:
        """The value of a `gr.State`; None if the session has none."""

    def is_closed(self, name: str) -> bool:
        """Whether the session's page was closed."""

    def forget_values(self, name: str, state: Any, components: Iterable[Any]) -> Any:
        """Drop a state's value and what some components last showed; returns the value, None if there was none."""

    def drop_copies(self, name: str) -> None:
        """Drop what copies of a session's components last showed; to be called now and then while frames stream."""
