"""The parts of a cluster's batch on the disk: written whole, continued, refused, counted."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from cluster.batch import part_size
from cluster.batch_output import Output, open_output
from fer_models.batch.run import NO_FACE
from fer_models.batch.table import FIRST, Row, to_frame
from fer_models.errors import BatchError
from fer_models.media.images import Picture
from fer_models.media.sources import PictureFile, Pictures

FILES = [PictureFile(f"{name}.png", "1", lambda: Picture(np.zeros((1, 1, 3), np.uint8))) for name in "abcde"]
SETTINGS: dict[str, Any] = {"version": "1", "models": {"a": ["hash"]}, "options": {"whole_if_none": False}}


def opened(folder: Path, **changes: Any) -> Output:
    arguments: dict[str, Any] = {"settings": SETTINGS, "part": 2} | changes
    pictures = Pictures(tuple(arguments.pop("files", FILES)), videos=tuple(arguments.pop("videos", ())))
    return open_output(folder / "out.parquet", pictures, **arguments)


def write(output: Output, *numbers: int) -> None:
    for number in numbers:
        rows: list[Row] = [{"file": file.name, "face": 1} for file in FILES[output.slice(number)]]
        output.write(output.part_name(number), to_frame(rows, FIRST))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out.parquet").iterdir())


def test_parts_are_the_table_in_the_files_order(tmp_path: Path) -> None:
    output = opened(tmp_path)
    assert output.missing() == [0, 1, 2]
    write(output, 2, 0, 1)
    assert output.missing() == []
    assert pandas.read_parquet(tmp_path / "out.parquet")["file"].tolist() == [file.name for file in FILES]
    assert [row["file"] for row in output.rows(["file"])] == [file.name for file in FILES]


def test_the_same_batch_goes_on_with_what_is_missing_in_parts_of_the_same_size(tmp_path: Path) -> None:
    write(opened(tmp_path), 1)
    again = opened(tmp_path, part=4)
    assert (again.part, again.missing()) == (2, [0, 2])
    assert again == opened(tmp_path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"settings": SETTINGS | {"version": "2"}}, "software"),
        ({"settings": SETTINGS | {"models": {"a": ["other"]}}}, "models"),
        ({"settings": SETTINGS | {"options": {"whole_if_none": True}}}, "options"),
        ({"files": FILES[1:]}, "files"),
        ({"files": [*FILES[:4], replace(FILES[4], stamp="2")]}, "files"),
    ],
)
def test_another_batch_is_refused_and_restart_forgets_the_first(
    tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    write(opened(tmp_path), 0)
    before = names(tmp_path)
    with pytest.raises(BatchError, match=f"begun with other {word}. .*--restart"):
        opened(tmp_path, **changes)
    assert names(tmp_path) == before
    begun = opened(tmp_path, **changes, restart=True)
    assert names(tmp_path) == ["_run.json"] and begun.missing() == [0, 1, 2][: begun.parts]


def test_a_part_of_another_batch_is_never_taken_for_one(tmp_path: Path) -> None:
    """A worker that outlived its run writes after the restart."""
    old = opened(tmp_path)
    new = opened(tmp_path, settings=SETTINGS | {"version": "2"}, restart=True)
    write(old, 0, 1)
    assert new.missing() == [0, 1, 2]
    write(new, 0, 1, 2)
    assert new.finish().faces == 5
    assert pandas.read_parquet(tmp_path / "out.parquet")["file"].tolist() == [file.name for file in FILES]


def test_leftovers_are_no_parts_and_go_in_the_end(tmp_path: Path) -> None:
    output = opened(tmp_path)
    write(output, 0, 1)
    (tmp_path / "out.parquet" / "_0123.partial").write_bytes(b"PAR1 cut off")
    assert output.missing() == [2]
    write(output, 2)
    output.finish()
    assert not [name for name in names(tmp_path) if name.endswith(".partial")]
    assert len(names(tmp_path)) == 4


def test_unreadable_files_are_counted_and_named(tmp_path: Path) -> None:
    output = opened(tmp_path, part=5)
    rows: list[Row] = [{"file": "a.png", "face": 1}, {"file": "a.png", "face": 2, "reason": "whole"}]
    rows += [{"file": "b.png", "reason": NO_FACE}, {"file": "c.png", "reason": "damaged"}]
    rows += [{"file": "d.png", "reason": "empty"}, {"file": "e.png", "face": 1}]
    output.write(output.part_name(0), to_frame(rows, FIRST))
    counts = output.finish()
    assert (counts.faces, counts.without, counts.unreadable) == (3, 1, ("c.png", "d.png"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").mkdir()
    (tmp_path / "out.parquet" / "mine.txt").write_text("mine")
    for restart in (False, True):
        with pytest.raises(BatchError, match="no output of --engine ray"):
            opened(tmp_path, restart=restart)
    assert names(tmp_path) == ["mine.txt"]


def test_a_file_or_another_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_bytes(b"a table of the local engine")
    with pytest.raises(BatchError, match="this is a file"):
        opened(tmp_path, restart=True)
    with pytest.raises(BatchError, match="ends in .parquet"):
        open_output(tmp_path / "out.csv", Pictures(tuple(FILES)), SETTINGS, 2)


def test_a_damaged_run_file_says_what_to_do(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "out.parquet" / "_run.json").write_text(json.dumps({"part": "x"}))
    with pytest.raises(BatchError, match="damaged.*--restart"):
        opened(tmp_path)
    assert opened(tmp_path, restart=True).missing() == [0, 1, 2]


@pytest.mark.parametrize(
    ("files", "batch", "size"), [(1, 32, 32), (2_000, 32, 32), (2_000, 8, 24), (10_000, 32, 128), (10**8, 32, 1024)]
)
def test_parts_are_whole_batches_and_bounded(files: int, batch: int, size: int) -> None:
    assert part_size(files, batch) == size
