"""Where uploads lie, checked: no tab trusts a path that a browser or a client sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_models.errors import ImageError


def uploaded_path(payload: Mapping[str, Any] | None, folder: str) -> Path:
    """Where an upload lies.

    Args:
        payload: what the browser or a client sent; not to be trusted.
        folder: where Gradio puts uploads.

    Raises:
        ImageError: nothing was sent as a file.
    """
    path = Path((payload or {}).get("path") or "")
    # Gradio checks only payloads with a certain mark, so that a client could name any file of this machine.
    if not path.resolve().is_relative_to(Path(folder).resolve()) or not path.is_file():
        raise ImageError("No picture was sent. Send one picture as a file.")
    return path
