"""What a cluster reads: folders, buckets and manifests, each file to be opened in another process."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
from PIL import Image
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from cluster import batch_sources
from cluster.batch_sources import list_pictures
from fer_models.cli.main import main
from fer_models.errors import BatchError, DatasetError, ImageError
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


def test_a_bucket_that_does_not_answer_is_no_unreadable_picture(bucket: str, tmp_path: Path) -> None:
    """Otherwise an hour without a network would be a table of unreadable files."""
    (tmp_path / "list.csv").write_text("file\ns3://silent/a.png\n")
    with pytest.raises(BatchError, match="does not answer"):
        list_pictures(tmp_path / "list.csv").files[0].read()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("pictures.zip", b"PK", "leave out --engine ray"),
        ("clip.mp4", b"", "python -m fer_models video"),
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
