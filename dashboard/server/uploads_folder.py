"""The folder of a run's uploads: private, swept while the app runs, deleted when it ends."""

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
#: Locked as long as its run lives; the system releases it however the run ends.
_LOCK: Final = ".running"
#: Seconds after which a session's own folder was left behind: sessions last an hour at most.
_SESSION_LIFETIME: Final = 3 * 3600.0


@contextmanager
def upload_folder() -> Iterator[Path]:
    """A new folder that only this user can open, and where Gradio and everything else puts temporary files.

    Folders of runs that were killed are removed first.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    before = os.environ.get("GRADIO_TEMP_DIR"), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, (Path(name) / _LOCK).open("w") as lock:
        _acquire(lock)
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
            _acquire(lock)  # refused while its run lives
            shutil.rmtree(folder, ignore_errors=True)


def _acquire(lock: IO[str]) -> None:
    """Lock a file for this process; raises OSError if another one has locked it."""
    if sys.platform == "win32":
        return  # there, the folder of a living run cannot be removed anyway
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sweep(folder: Path, lifetime: float, keep: Collection[str] = ()) -> int:
    """Delete the files in a folder that were not changed for `lifetime` seconds, and folders that are left empty.

    A session deletes its own folders (`SESSION_FOLDER_PREFIX`); what was left behind there is deleted here, after
    `_SESSION_LIFETIME`.

    A file whose time is further than that in the future was changed before the clock was set back: it is deleted, too.

    Gradio's own sweep only knows whole uploads, and dies if an upload arrives at the wrong moment.

    Args:
        folder: of this run.
        lifetime: in seconds.
        keep: paths that are left alone.

    Returns:
        How many files were deleted.
    """
    deleted = 0
    now = time.time()

    def limit(path: Path) -> float:
        of_session = path.relative_to(folder).parts[0].startswith(SESSION_FOLDER_PREFIX)
        return max(lifetime, _SESSION_LIFETIME) if of_session else lifetime

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
