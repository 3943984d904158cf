"""The folder of one run's uploads: private, swept while the app runs, gone when it ends."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from dashboard.components.uploads import SESSION_FOLDER_PREFIX

if sys.platform != "win32":
    import fcntl

_PREFIX: Final = "fer-compare-"
#: Held as long as its run lives; the system lets go of it however the run ends.
_LOCK: Final = ".running"
#: Seconds after which a folder that a session holds was left behind: sessions last an hour at most.
_HELD_LIFETIME: Final = 3 * 3600.0


@contextmanager
def upload_folder() -> Iterator[Path]:
    """A new folder that only this user can open, and where Gradio and everything else puts temporary files.

    Folders of runs that were killed are removed first.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    before = os.environ.get("GRADIO_TEMP_DIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, (Path(name) / _LOCK).open("w") as lock:
        _hold(lock)
        # Half an upload lies where Python puts temporary files, a whole one in Gradio's folder: make them one.
        os.environ["GRADIO_TEMP_DIR"] = tempfile.tempdir = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = before[1]
            if before[0] is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before[0]


def remove_abandoned(parent: Path) -> None:
    """Remove the folders in `parent` whose runs were killed before they could."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), (folder / _LOCK).open("r+") as lock:
            _hold(lock)  # refused while its run lives
            shutil.rmtree(folder, ignore_errors=True)


def _hold(lock: IO[str]) -> None:
    """Lock a file for this process, or raise OSError if another one holds it."""
    if sys.platform == "win32":
        return  # there, the folder of a living run cannot be removed anyway
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(folder: Path, lifetime: float, keep: Collection[str] = ()) -> int:
    """Delete the files in a folder that nobody changed for `lifetime` seconds, and folders that are left empty.

    A session deletes its own folders (`SESSION_FOLDER_PREFIX`); only what was forgotten there goes here, after
    `_HELD_LIFETIME`.

    A file that was changed further than that in the future was changed before the clock was set back: it goes, too.

    Gradio's own sweep only knows whole uploads, and dies if an upload arrives at the wrong moment.

    Args:
        folder: of this run.
        lifetime: in seconds.
        keep: paths that stay.

    Returns:
        How many files were deleted.
    """
    deleted = 0
    now = time.time()

    def limit(path: Path) -> float:
        held = path.relative_to(folder).parts[0].startswith(SESSION_FOLDER_PREFIX)
        return max(lifetime, _HELD_LIFETIME) if held else lifetime

    for name, folders, files in os.walk(folder, topdown=False):
        for path in (Path(name) / file for file in files):
            with suppress(OSError):  # it went by itself
                status = path.lstat()
                if (
                    path.name == _LOCK
                    or str(path) in keep
                    or abs(now - max(status.st_mtime, status.st_ctime)) < limit(path)
                ):
                    continue
                path.unlink()
                deleted += 1
        for path in (Path(name) / child for child in folders):
            with suppress(OSError):  # it is not empty
                if abs(now - path.lstat().st_mtime) >= limit(path):
                    path.rmdir()
    return deleted


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for name, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                total += (Path(name) / file).lstat().st_size
    return total
