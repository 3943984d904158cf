"""What a cluster reads: folders, buckets and manifests, each file to be opened in another process."""

import pickle
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pandas
import pytest
from PIL import Image
from pyarrow.fs import GcsFileSystem, LocalFileSystem, SubTreeFileSystem

from cluster import batch_sources
from cluster.batch import check_reachable
from cluster.batch_sources import list_pictures
from fer_models.cli.main import main
from fer_models.errors import BatchError, DatasetError, ImageError, VideoError
from fer_models.media.sources import open_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of different grey, one damaged, one hidden, and a text."""
    root = tmp_path / "bucket" / "faces"
    for number, name in enumerate(("a.png", "deep/b.png", ".hidden/c.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (60 * number,) * 3).save(root / name)
    (root / "deep" / "broken.jpg").write_bytes(b"nothing")
    (root / "notes.txt").write_text("notes")
    return root


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An URI of the folder, as of one in a bucket; another one does not answer."""
    system = SubTreeFileSystem(str(folder.parent.parent), LocalFileSystem())

    class Silent:
        def open_input_file(self, path: str) -> Any:
            raise OSError("connection refused")

        open_input_stream = open_input_file

    def opened(root: str) -> tuple[Any, str]:
        path = root.removeprefix("s3://").partition("?")[0]
        return (Silent() if path.startswith("silent") else system), path.rstrip("/")

    monkeypatch.setattr(batch_sources, "filesystem", opened)
    return "s3://bucket/faces"


def shades(files: Any) -> list[int | str]:
    """What each file's picture is, read from its pickled form as another process does."""
    result: list[int | str] = []
    for file in pickle.loads(pickle.dumps(files)):
        try:
            result.append(int(file.read().pixels[0, 0, 0]))
        except ImageError as error:
            result.append(str(error))
    return result


def test_a_folder_or_its_uri_is_listed_as_for_one_process(folder: Path) -> None:
    with open_pictures(folder) as local:
        expected = [(file.name, file.stamp) for file in local.files]
    for source in (folder, folder.as_uri()):
        found = list_pictures(source)
        assert [(file.name, file.stamp) for file in found.files] == expected
        assert found.left_out == local.left_out == ("notes.txt",)
        assert shades(found.files)[:2] == [0, 60]


def test_a_bucket_is_listed_by_the_same_rules(bucket: str, folder: Path) -> None:
    found = list_pictures(bucket)
    assert [file.name for file in found.files] == ["a.png", "deep/b.png", "deep/broken.jpg"]
    assert found.left_out == ("notes.txt",)
    read = shades(found.files)
    assert read[:2] == [0, 60] and isinstance(read[2], str)
    before = found.files[0].stamp
    Image.new("RGB", (41, 30)).save(folder / "a.png")
    assert list_pictures(bucket).files[0].stamp != before


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_manifest_keeps_its_order_and_names(bucket: str, folder: Path, tmp_path: Path, suffix: str) -> None:
    names = ["faces/deep/b.png", str(folder / "a.png"), f"{bucket}/deep/b.png", "faces/a.png", "faces/a.png", "no.png"]
    table = pandas.DataFrame({"other": range(6), "file": names})
    manifest = folder.parent / f"list{suffix}"
    table.to_csv(manifest, index=False) if suffix == ".csv" else table.to_parquet(manifest)
    for source in (manifest, f"s3://bucket/list{suffix}"):
        files = list_pictures(source).files
        assert [file.name for file in files] == [*names[:4], "faces/a.png (2)", "no.png"]
        read = shades(files)
        assert read[:5] == [60, 0, 60, 0, 0] and "not there" in str(read[5])


def test_videos_stand_beside_the_pictures(bucket: str, folder: Path, tmp_path: Path) -> None:
    for name in ("b.mp4", "deep/a.MOV", ".hidden/c.mp4", "code.ts"):
        (folder / name).write_bytes(name.encode())
    (folder / "stream.ts").write_bytes((b"G" + bytes(187)) * 4)
    for source in (folder, bucket):
        found = list_pictures(source)
        assert [file.name for file in found.videos] == ["b.mp4", "deep/a.MOV", "stream.ts"]
        assert len(found.files) == 3 and found.left_out == ("code.ts", "notes.txt")
        content = [file.path().read_bytes() for file in pickle.loads(pickle.dumps(found.videos))]
        assert content[:2] == [b"b.mp4", b"deep/a.MOV"] and content[2].startswith(b"G")
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"file\n{bucket}/b.mp4\n{folder / 'a.png'}\n{folder / 'b.mp4'}\n{bucket}/no.mp4\n")
    found = list_pictures(manifest)
    assert len(found.files) == 1 and [file.path().name for file in found.videos[:2]] == ["b.mp4", "b.mp4"]
    with pytest.raises(VideoError, match="not there"):
        found.videos[2].path()
    for source in (folder / "b.mp4", f"{bucket}/b.mp4"):
        found = list_pictures(source)
        assert not found.files and [file.name for file in found.videos] == ["b.mp4"]
        assert found.videos[0].path().read_bytes() == b"b.mp4"


def test_one_copy_of_a_buckets_video_is_kept(bucket: str, folder: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"video")
    first, second = list_pictures(bucket).videos
    path = first.path()
    assert first.path() == path and path.exists()
    assert second.path().exists() and not path.exists()


def test_a_bucket_that_does_not_answer_is_no_unreadable_picture(bucket: str, tmp_path: Path) -> None:
    """Otherwise an hour without a network would be a table of unreadable files."""
    (tmp_path / "list.csv").write_text("file\ns3://silent/a.png\n")
    with pytest.raises(BatchError, match="does not answer"):
        list_pictures(tmp_path / "list.csv").files[0].read()
    (tmp_path / "list.csv").write_text("file\ns3://silent/a.mp4\n")
    with pytest.raises(BatchError, match="does not answer"):
        list_pictures(tmp_path / "list.csv").videos[0].path()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("pictures.zip", b"PK", "leave out --engine ray"),
        ("list.csv", b"path\na.png\n", "missing: file"),
        ("list.parquet", b"nothing", "no Parquet file with the column file"),
        ("empty.csv", b"file\n", "lists no file"),
        ("missing", None, "There is no folder"),
    ],
)
def test_other_sources_say_what_to_do(tmp_path: Path, name: str, content: bytes | None, error: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((BatchError, DatasetError), match=error):
        list_pictures(tmp_path / name)


def test_a_manifest_with_a_gap_names_the_row(tmp_path: Path) -> None:
    pandas.DataFrame({"file": ["a.png", None]}).to_parquet(tmp_path / "list.parquet")
    with pytest.raises(BatchError, match="row 2"):
        list_pictures(tmp_path / "list.parquet")


def test_an_unknown_kind_of_uri_is_an_error() -> None:
    with pytest.raises(BatchError, match="cannot be opened"):
        list_pictures("carrier-pigeon://loft/faces")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "ray"], "pip install -r requirements-ray.txt"),
        (["--workers", "2"], "--engine ray"),
        (["--address", "auto"], "--engine ray"),
    ],
)
def test_without_ray_the_command_says_what_to_install(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["batch", str(folder), "--out", str(tmp_path / "t.parquet"), *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert not (tmp_path / "t.parquet").exists()


def test_one_process_takes_no_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "s3://bucket/faces", "--out", str(tmp_path / "t.parquet")]) == 2
    assert "--engine ray" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "auto"])
def test_an_address_where_nothing_is_says_so_soon(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Ray would be silent for minutes."""
    with socket.socket() as taken:  # nobody listens on it
        taken.bind(("127.0.0.1", 0))
        where = address.format(port=taken.getsockname()[1])
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{taken.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(BatchError, match="cannot be reached.*ray status"):
            check_reachable(where)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", None])
def test_a_port_of_something_else_says_so_soon(monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    """None answers nothing at all."""
    monkeypatch.setattr("cluster.batch._REACH_S", 0.5)
    with answering(answer) as address, pytest.raises(BatchError, match="not Ray"):
        check_reachable(address)


def test_an_address_that_answers_or_is_left_to_ray_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with answering(b"\0\0\x12\4\0\0\0\0\0") as address:
        check_reachable(address)
    with answering(b"\0\0\x12\4\0\0\0\0\0") as address:
        check_reachable(f"ray://{address}")
    check_reachable("auto")
    with pytest.raises(BatchError, match="no address"):
        check_reachable("127.0.0.1:port")


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """The address of a server that answers one connection so, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        done = Event()

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(100)
                if answer is None:
                    done.wait(30)
                else:
                    connection.sendall(answer)

        serving = pool.submit(serve)
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            done.set()
            serving.result(30)


def test_a_bucket_at_google_is_opened_by_pyarrow_with_its_path_and_a_short_wait() -> None:
    for uri, seconds in (
        ("gs://bucket/faces/", 20),
        ("gs://anonymous@bucket/faces?scheme=http", 20),
        ("gs://bucket/faces?retry_limit_seconds=7", 7),
    ):
        system, path = batch_sources.filesystem(uri)
        assert isinstance(system, GcsFileSystem) and path == "bucket/faces"
        arguments = system.__reduce__()[1][0]
        assert arguments["retry_time_limit"].total_seconds() == seconds
        assert arguments["anonymous"] == ("anonymous" in uri)


def test_without_credentials_google_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as taken:  # nobody listens on it
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        with pytest.raises(BatchError, match="gcloud auth application-default login"):
            list_pictures("gs://bucket/faces?retry_limit_seconds=1")
