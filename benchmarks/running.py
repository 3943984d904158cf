"""An app to measure: started on a free port, stopped at the end; the memory and processor time that are used."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_READY_S: Final = 120
#: What Chromium's processes are for, by a part of their command line.
_KINDS: Final = {
    "--type=renderer": "page",
    "--type=gpu-process": "compositor",
    "VideoCaptureService": "camera",
    "NetworkService": "network",
}


@contextmanager
def app(folder: Path, *flags: str) -> Iterator[tuple[str, int]]:
    """Start the app and wait until it serves.

    Args:
        folder: for its log.
        flags: further arguments of app.py.

    Yields:
        Its address, with a slash at the end, and its process number.

    Raises:
        SystemExit: it did not start; the message holds its log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "app.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(_ROOT / "app.py"), "--port", str(port), *flags],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        end = time.monotonic() + _READY_S
        while "Ctrl-C" not in log.read_text() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is not None:
            sys.exit(f"The app did not start: {log.read_text()}")
        yield f"http://127.0.0.1:{port}/", process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def resident_mb(pid: int | None) -> float | None:
    """Memory in MB (10^6 bytes) that a process holds now; None if it is not known, as outside of Linux."""
    if pid is None:
        return None
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")), None)


def processor_s(pid: int | None) -> float | None:
    """Processor time in seconds that a process has used so far; of the whole machine with None.

    None if it is not known, as outside of Linux.
    """
    try:
        if pid is None:
            user, nice, system, _, _, *interrupts = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
            ticks = [user, nice, system, *interrupts]
        else:
            # The name in parentheses may have blanks.
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return None
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def processor_s_by_kind(mark: str) -> dict[str, float]:
    """Processor time in seconds of a running Chromium and its processes so far, by what they are for.

    Args:
        mark: a word of the browser's own command line that no other process has.

    Returns:
        "page" (scripts, layout, drawing), "compositor", "camera", "network" and "browser" (the rest); empty if it is
        not known, as outside of Linux.
    """
    words: dict[int, str] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {pid for pid, line in words.items() if mark in line and "--type=" not in line and "chrom" in line[:40]}
    while more := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
        family |= more
    seconds: dict[str, float] = {}
    for pid in family:
        line = words.get(pid, "")
        kind = next((name for sign, name in _KINDS.items() if sign in line), "browser")
        seconds[kind] = seconds.get(kind, 0.0) + (processor_s(pid) or 0.0)
    return seconds
