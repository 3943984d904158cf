"""The uploads of a batch as its files, within the page's limits. No Gradio here."""

import os
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeAlias

from dashboard.components.uploads import SESSION_FOLDER_PREFIX, uploaded_path
from fer_models.errors import BatchError
from fer_models.media.images import Picture
from fer_models.media.sources import Pictures, ZipLimits, list_files, open_pictures

#: What the page takes at once; the command has no such bound.
MAX_PICTURES: Final = 500
#: Bytes of all uploads of a batch together.
MAX_BYTES: Final = 256 * 10**6
ZIP_LIMITS: Final = ZipLimits(entries=5000, unpacked=512 * 10**6, ratio=100.0, picture=64 * 10**6)

#: An upload as Gradio describes it: its path and the name it had.
Payload: TypeAlias = Mapping[str, Any]


class BatchPictures:
    """The pictures of one batch, kept so that a face of it can be opened later."""

    def __init__(self, files: Sequence[tuple[str, Path]], folder: Path | None = None) -> None:
        """Keep them.

        Args:
            files: name and path of each picture, or of one zip of them.
            folder: deleted as soon as nobody has this object any more, or at the latest when the app ends.
        """
        self._files = tuple(files)
        self.close = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True) if folder else lambda: None

    @contextmanager
    def opened(self) -> Iterator[Pictures]:
        """The batch's files; a zip stays open as long as the context.

        Raises:
            BatchError: the zip cannot be read.
        """
        name, path = self._files[0]
        if name.lower().endswith(".zip"):
            with open_pictures(path, ZIP_LIMITS, name=name) as pictures:
                yield pictures
        else:
            yield list_files(self._files)

    def read(self, name: str) -> Picture:
        """One of the batch's pictures, by its file's name in the table.

        Raises:
            FerError: it is not there any more or cannot be read.
        """
        with self.opened() as pictures:
            for file in pictures.files:
                if file.name == name:
                    return file.read()
        raise BatchError(f"{name} is not there any more. Analyse the batch again.")


def keep_uploads(payload: Sequence[Payload], folder: Path) -> BatchPictures:
    """Take uploads over, so that they stay as long as the batch: the page deletes uploads after minutes.

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
    if len(uploads) > 1 and any(name.lower().endswith(".zip") for name, _ in uploads):
        raise BatchError("Send either pictures or one zip, not both, and no second zip.")
    kept_in = Path(mkdtemp(prefix=f"{SESSION_FOLDER_PREFIX}batch-", dir=folder))
    kept = BatchPictures([(name, kept_in / str(index)) for index, (name, _) in enumerate(uploads)], kept_in)
    try:
        for index, (_, path) in enumerate(uploads):
            _second_name(path, kept_in / str(index))
        with kept.opened() as pictures:
            if len(pictures.files) > MAX_PICTURES:
                raise BatchError(_too_many(len(pictures.files)))
    except BaseException:
        kept.close()
        raise
    return kept


def _second_name(path: Path, target: Path) -> None:
    """A second name of an upload, under which it stays when the first is deleted."""
    try:
        os.link(path, target)
    except OSError:  # a file system without such names
        shutil.copyfile(path, target)


def _too_many(count: int) -> str:
    return f"These are {count:,} pictures, the page takes {MAX_PICTURES} at once. Send fewer, or use the command."
