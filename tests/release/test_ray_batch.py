"""A batch on a Ray cluster of two workers: the rows of one process, whatever is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from benchmarks.batch import make_pictures
from fer_models.cli.main import main
from tests.helpers.clips import write_clip

pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = 160
LIMIT_S = 240.0


@dataclass
class Killed:
    """What is left of a batch whose driver was killed, and whose second driver lost a worker.

    Attributes:
        folder: of the pictures.
        flags: of the command, without the engine.
        out: the output of Ray.
        first: the parts that the first driver left, with the times at which they were written.
        outlived: processes of its cluster; Ray's agents need a minute to end.
        again: the second driver's run.
        addresses: that its cluster listened on.
        left: processes of the second cluster.
    """

    folder: Path
    flags: list[str]
    out: Path
    first: dict[str, float]
    outlived: set[int]
    again: "subprocess.CompletedProcess[str]"
    left: set[int]
    addresses: set[str]


def descendants(process: int) -> set[int]:
    """Processes that a process started, and those that these started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):  # it ended just now
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def command_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def listening(processes: set[int]) -> set[str]:
    """Addresses, in the kernel's hexadecimal form, on which processes accept TCP connections."""
    sockets = set()
    for path in (entry for process in processes for entry in Path(f"/proc/{process}/fd").glob("*")):
        try:
            sockets.add(os.readlink(path).removeprefix("socket:[").rstrip("]"))
        except OSError:
            continue
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets}


def alive(processes: set[int]) -> set[int]:
    """Those that still run: ended ones that nobody waited for do not."""
    running = set()
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.add(process)
    return running


def wait_for(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def parts(out: Path) -> dict[str, float]:
    return {path.name: path.stat().st_mtime for path in out.glob("*.parquet")}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Iterator[Killed]:
    base = tmp_path_factory.mktemp("ray")
    folder, originals, out = base / "pictures", base / "originals", base / "ray.parquet"
    originals.mkdir()
    (folder / "deep").mkdir(parents=True)
    photos = [Image.open(path) for path in make_pictures(originals, 16)]
    for index in range(PICTURES):
        photo = photos[index % len(photos)]
        small = photo.resize((200, round(200 * photo.height / photo.width)))
        small.crop((index // 16, 0, 200, 100)).save(folder / ("deep" if index % 2 else ".") / f"{index:03}.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("notes")

    flags = ["--models", "eac_mobilenet_v2", "vgg16", "--weights", str(weights_dir), "--device", "cpu", "--batch", "8"]
    yield kill_twice(folder, flags, out)


def kill_twice(folder: Path, flags: list[str], out: Path) -> Killed:
    """Kill the driver after two parts, then, in a second run, a worker after one more."""
    command = [sys.executable, "-m", "fer_models", "batch", str(folder), *flags]
    command += ["--engine", "ray", "--workers", "2", "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as driver:  # type: ignore[call-overload]
        assert wait_for(lambda: len(parts(out)) >= 2 or driver.poll() is not None)
        cluster = descendants(driver.pid)
        driver.send_signal(signal.SIGKILL)
    wait_for(lambda: not any("worker" in command_of(process).lower() for process in alive(cluster)), 60)
    first, outlived = parts(out), cluster
    (out / "_0.partial").write_bytes(b"PAR1 of a worker that was killed while writing")

    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as driver:  # type: ignore[call-overload]
        assert wait_for(lambda: len(parts(out)) > len(first) or driver.poll() is not None)
        cluster = descendants(driver.pid)
        addresses = listening(cluster)
        workers = [process for process in cluster if command_of(process).startswith("ray::Worker")]
        if workers:
            os.kill(workers[0], signal.SIGKILL)
        try:
            output, errors = driver.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            driver.terminate()
            output, errors = driver.communicate(timeout=60)
    assert workers, errors[-3000:]
    again = subprocess.CompletedProcess(command, driver.returncode, output, errors)
    return Killed(folder, flags, out, first, outlived, again, cluster, addresses)


def test_killed_driver_and_worker_lose_and_repeat_no_row(killed: Killed, tmp_path: Path) -> None:
    assert killed.again.returncode == 1, killed.again.stderr[-3000:]  # one file cannot be read
    assert 2 <= len(killed.first) < len(parts(killed.out)) == 21
    assert {name: parts(killed.out)[name] for name in killed.first} == killed.first  # what was done is not done again
    done = re.search(r"(\d+) of 161 files are done already", killed.again.stderr)
    assert done and 8 * (len(killed.first) - 1) < int(done[1]) <= 8 * len(killed.first)

    local = tmp_path / "local.parquet"
    assert main(["batch", str(killed.folder), "--out", str(local), *killed.flags]) == 1
    expected, rows = pandas.read_parquet(local), pandas.read_parquet(killed.out)
    assert expected["face"].notna().sum() > 80 and expected["file"].nunique() == 161
    pandas.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-4)


def test_unreadable_and_other_files_are_counted_and_named(killed: Killed) -> None:
    assert killed.again.stdout.startswith("161 files: ") and killed.again.stdout.count("\n") == 1
    assert "1 not readable (broken.jpg)" in killed.again.stdout
    assert "1 other files were left out: notes.txt" in killed.again.stdout


def test_nothing_is_left_behind(killed: Killed) -> None:
    assert wait_for(lambda: not alive(killed.outlived | killed.left), 180)
    assert {path.suffix for path in killed.out.iterdir()} == {".json", ".parquet"}


def test_a_cluster_of_this_machine_listens_on_loopback_alone(killed: Killed) -> None:
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert killed.addresses and killed.addresses <= loopback


def test_a_finished_batch_only_says_again_what_it_holds(killed: Killed, capsys: pytest.CaptureFixture[str]) -> None:
    before = parts(killed.out)
    assert main(["batch", str(killed.folder), *killed.flags, "--engine", "ray", "--out", str(killed.out)]) == 1
    assert capsys.readouterr().out == killed.again.stdout
    assert parts(killed.out) == before


@pytest.fixture(scope="module")
def killed_videos(tmp_path_factory: pytest.TempPathFactory, weights_dir: Path) -> Killed:
    """A video of five segments, the same cut off, one of three seconds, one that is none, and a picture."""
    base = tmp_path_factory.mktemp("videos")
    folder = base / "videos"
    folder.mkdir()
    photos = [Image.open(path).convert("RGB") for path in make_pictures(base, 4)]
    small = [np.asarray(photo.resize((200, round(200 * photo.height / photo.width))))[:120] for photo in photos]
    height = min(len(photo) for photo in small) // 2 * 2
    scenes = [np.roll(small[index // 130][:height], index % 130 // 4, 1) for index in range(520)]
    encoder = {"preset": "veryfast", "bf": "2", "g": "20"}
    whole = write_clip(folder / "talk.mp4", scenes, fps=4, encoder=encoder, options={"movflags": "faststart"})
    content = whole.read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    (folder / "broken.mp4").write_bytes(content[: len(content) // 200])
    write_clip(folder / "short.mkv", scenes[:12], fps=4, encoder=encoder)
    photos[0].save(folder / "photo.png")
    flags = ["--models", "eac_mobilenet_v2", "vgg16", "--weights", str(weights_dir), "--device", "cpu", "--rate", "2"]
    return kill_twice(folder, flags, base / "ray.parquet")


def test_segments_of_videos_are_neither_lost_nor_repeated(killed_videos: Killed, tmp_path: Path) -> None:
    killed = killed_videos
    assert killed.again.returncode == 1, killed.again.stderr[-3000:]  # one file cannot be read
    assert killed.again.stdout.startswith("5 files: ") and "1 not readable (broken.mp4)" in killed.again.stdout
    assert "4 videos: " in killed.again.stdout
    names = sorted(parts(killed.out))
    assert names[0].startswith("part-") and sum("video-000003-" in name for name in names) == 5  # talk.mp4
    assert len(names) == 1 + 1 + len([name for name in names if "video-000001-" in name]) + 1 + 5
    assert len(killed.first) >= 2 and {path.suffix for path in killed.out.iterdir()} == {".json", ".parquet"}
    assert re.search(r"\d+ of \d+ parts are done already", killed.again.stderr)

    local = tmp_path / "local.parquet"
    assert main(["batch", str(killed.folder), "--out", str(local), *killed.flags]) == 1
    expected, rows = pandas.read_parquet(local), pandas.read_parquet(killed.out)
    pandas.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-4)
    talk = rows[rows["file"] == "talk.mp4"]
    assert sorted(set(talk["time_s"])) == [index / 2 for index in range(260)] and talk["face"].notna().sum() > 100

    # The same as of the video alone, which knows no segments.
    assert main(["video", str(killed.folder / "talk.mp4"), "--out", str(tmp_path), "--no-video", *killed.flags]) == 0
    alone = pandas.read_csv(tmp_path / "frames.csv")
    faces = talk[talk["face"].notna()].reset_index(drop=True)
    assert alone["face"].tolist() == faces["track"].tolist() and alone["time_s"].tolist() == faces["time_s"].tolist()
    np.testing.assert_allclose(alone[["x1", "y1", "x2", "y2"]], faces[["x1", "y1", "x2", "y2"]], atol=0.011)
    for model in ("eac_mobilenet_v2", "vgg16"):
        np.testing.assert_allclose(alone[f"{model}.confidence"], faces[f"{model}_confidence"], atol=2e-4)
