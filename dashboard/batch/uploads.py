"""The uploads of a batch as its files, within the page's limits. No Gradio here."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, TypeAlias

from dashboard.components.uploads import SESSION_FOLDER_PREFIX, uploaded_path
from fer_models.errors import BatchError
from fer_models.media.sources import Pictures, ZipLimits, list_files, open_pictures

#: What the page takes at once; the command has no such bound.
MAX_PICTURES: Final = 500
#: Bytes of all uploads of a batch together.
MAX_BYTES: Final = 256 * 10**6
ZIP_LIMITS: Final = ZipLimits(entries=5000, unpacked=512 * 10**6, ratio=100.0, picture=64 * 10**6)

#: An upload as Gradio describes it: its path and the name it had.
Payload: TypeAlias = Mapping[str, Any]


@contextmanager
def uploaded_pictures(payload: Sequence[Payload], folder: Path) -> Iterator[Pictures]:
    """The uploads as a batch's files, held as long as the context: the page deletes uploads after minutes.

    Args:
        payload: pictures, or one zip of them.
        folder: where Gradio puts uploads.

    Raises:
        FerError: nothing, too much, or an unreadable zip was sent.
    """
    if not payload:
        raise BatchError("Choose pictures or a zip first.")
    if len(payload) > MAX_PICTURES:
        raise BatchError(_too_many(len(payload)))
    uploads = [(str(item.get("orig_name") or "picture")[:255], uploaded_path(item, folder)) for item in payload]
    size = sum(path.stat().st_size for _, path in uploads)
    if size > MAX_BYTES:
        raise BatchError(
            f"These files have {size / 1e6:,.0f} MB together, the page takes {MAX_BYTES // 10**6} MB at once. "
            "Send fewer, or use the command."
        )
    zips = [name for name, _ in uploads if name.lower().endswith(".zip")]
    if zips and len(uploads) > 1:
        raise BatchError("Send either pictures or one zip, not both, and no second zip.")
    with ExitStack() as stack:
        prefix = f"{SESSION_FOLDER_PREFIX}batch-"
        kept_in = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=folder)))
        kept = [(name, _second_name(path, kept_in / str(index))) for index, (name, path) in enumerate(uploads)]
        name, path = kept[0]
        opened = open_pictures(path, ZIP_LIMITS, name=name) if zips else nullcontext(list_files(kept))
        pictures = stack.enter_context(opened)
        if len(pictures.files) > MAX_PICTURES:
            raise BatchError(_too_many(len(pictures.files)))
        yield pictures


def _second_name(path: Path, target: Path) -> Path:
    """A second name of an upload, under which it stays when the first is deleted."""
    try:
        os.link(path, target)
    except OSError:  # a file system without such names
        shutil.copyfile(path, target)
    return target


def _too_many(count: int) -> str:
    return f"These are {count:,} pictures, the page takes {MAX_PICTURES} at once. Send fewer, or use the command."
