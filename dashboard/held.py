"""How a session's own folders among the uploads are called, so that the sweep of old uploads leaves them to it."""

from typing import Final

#: Begins the name of a folder that its session deletes: of a video with its results, of the pictures of a batch.
HELD: Final = "held-"
