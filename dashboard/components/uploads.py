"""Paths of uploads, checked: no tab trusts a path that a browser or a client sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fer_models.errors import ImageError

#: Begins the name of a folder among the uploads that its session deletes itself (a video with its results, a batch's
#: pictures), so that the sweep of old uploads leaves it alone.
SESSION_FOLDER_PREFIX: Final = "session-"


#: What is said where none was.
NO_PICTURE: Final = (
    "No picture was sent. Send one picture as a file: with gradio_client as handle_file(PATH), over HTTP as "
    '{"path": ...} as /gradio_api/upload answers.'
)


def uploaded_path(payload: object, folder: Path) -> Path:
    """The checked path of an upload.

    Args:
        payload: what a browser or a client sent; not to be trusted.
        folder: where Gradio puts uploads.

    Raises:
        ImageError: nothing was sent as a file.
    """
    name = payload.get("path") if isinstance(payload, Mapping) else None
    try:
        path = Path(name if isinstance(name, str) else "")
        # Gradio checks only payloads with a certain mark, so that a client could name any file of this machine.
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            return path
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise ImageError(NO_PICTURE)
