"""Output files appear whole or not at all."""

import json
from pathlib import Path

import pytest

from fer_models.errors import BatchError, FerError
from fer_models.media.files import check_writable, replacing, write_json, write_text


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_json(path, {"é": [1]})
    assert path.read_text(encoding="utf-8") == '{\n "é": [\n  1\n ]\n}\n'
    write_json(path, {"é": [1]}, indent=None)
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": [1]} and path.read_bytes().count(b"\n") == 1


def test_what_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.txt"
    with pytest.raises(BatchError, match=rf"^Cannot write {path}: Not a directory|^Cannot write {path}: File exists"):
        write_text(path, "", BatchError)
    with pytest.raises(FerError, match="Cannot write"):
        check_writable(path)
    with pytest.raises(FerError, match="Is a directory"):
        write_text(tmp_path, "")


def test_checking_leaves_no_file(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "a.json")
    assert [*(tmp_path / "new").iterdir()] == []
    (tmp_path / "b.json").write_text("kept")
    check_writable(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_text() == "kept"
