"""Loaders of the public layouts: labels by name, counts, and errors that say where and what."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fer_models.errors import DatasetError, ImageError, UnknownNameError
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import load_dataset

PIXELS = " ".join(["7"] * 2304)
HEADER = "emotion,pixels,Usage"
VOTE_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def write_fer2013(root: Path, rows: list[str]) -> None:
    (root / "fer2013.csv").write_text("\n".join([HEADER, *rows]) + "\n")


def names_of(targets: NDArray[np.int64]) -> list[str]:
    return [EXPRESSIONS[target] for target in targets]


def test_fer2013_maps_native_labels_by_name_and_splits_by_usage(tmp_path: Path) -> None:
    write_fer2013(tmp_path, [f"{label},{PIXELS},Training" for label in range(7)] + [f"3,{PIXELS},PrivateTest"])
    data = load_dataset("fer2013", tmp_path, "Training")
    assert names_of(data.targets) == ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert data.pixels().shape == (7, 1, 48, 48)
    test = load_dataset("fer2013", tmp_path, "test")
    assert names_of(test.targets) == ["happiness"]
    assert test.rows.tolist() == [7]


def test_fer2013_second_reading_comes_from_a_cache_that_notices_changes(tmp_path: Path) -> None:
    write_fer2013(tmp_path, [f"0,{PIXELS},Training"])
    first = load_dataset("fer2013", tmp_path, "train")
    assert (tmp_path / ".fer2013.npz").is_file()
    assert (load_dataset("fer2013", tmp_path, "train").faces[0] == first.faces[0]).all()
    write_fer2013(tmp_path, [f"3,{PIXELS},Training", f"4,{PIXELS},Training"])
    assert names_of(load_dataset("fer2013", tmp_path, "train").targets) == ["happiness", "sadness"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("fer2013.csv", f"\ufeff{HEADER}\n3,{PIXELS},Training\n"),
        ("icml_face_data.csv", f"emotion, Usage, pixels\n3,Training,{PIXELS}\n"),
        ("icml_face_data.csv", f"emotion, Usage, pixels\r\n3, Training, {PIXELS}\r\n"),
        ("fer2013.csv", f"{HEADER}\n3,{PIXELS},Training\n,,\n\n  \n"),
        ("fer2013.csv", f"sep=;\nEmotion;Pixels;USAGE\n3;{PIXELS};Training\n"),
    ],
)
def test_fer2013_as_it_comes(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8", newline="")
    votes = f"\ufeffUsage, {VOTE_HEADER[6:]}\nTraining,f.png,0,0,0,9,0,0,0,0,0,0\n,,,,,,,,,,,\n\n"
    (tmp_path / "fer2013new.csv").write_text(votes, encoding="utf-8")
    data = load_dataset("fer2013", tmp_path, "train")
    assert names_of(data.targets) == ["happiness"] and data.faces[0].tolist() == [[7] * 48] * 48
    assert names_of(load_dataset("ferplus", tmp_path, "train").targets) == ["sadness"]


def test_fer2013_csv_is_taken_first(tmp_path: Path) -> None:
    (tmp_path / "icml_face_data.csv").write_text(f"{HEADER}\n0,{PIXELS},Training\n")
    write_fer2013(tmp_path, [f"4,{PIXELS},Training"])
    assert names_of(load_dataset("fer2013", tmp_path, "train").targets) == ["sadness"]


def test_a_damaged_cache_is_replaced(tmp_path: Path) -> None:
    write_fer2013(tmp_path, [f"0,{PIXELS},Training"])
    (tmp_path / ".fer2013.npz").write_bytes(b"PK\x03\x04 cut short")
    assert len(load_dataset("fer2013", tmp_path, "train")) == 1
    assert len(load_dataset("fer2013", tmp_path, "train")) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"0,{PIXELS} 7,Training", "line 3: expected 2304 grey levels in 0..255 (48 x 48), got 2305"),
        ("0,1 2 3,Training", "line 3: expected 2304 grey levels in 0..255 (48 x 48), got 3"),
        (f"0,{PIXELS[:-1]}x,Training", "line 3: the pixels are not whole numbers"),
        (f"0,{PIXELS[:-1]}256,Training", "line 3: expected 2304 grey levels in 0..255"),
        (f"7,{PIXELS},Training", "line 3: expected an emotion in 0..6, got '7'"),
        (f"12,{PIXELS},Training", "line 3: expected an emotion in 0..6, got '12'"),
        (f",{PIXELS},Training", "line 3: expected an emotion in 0..6, got ''"),
        (f"0,{PIXELS},Validation", "line 3: expected Usage Training, PublicTest or PrivateTest, got 'Validation'"),
        (f"0,{PIXELS}", "line 3: expected Usage"),
        ("0", "line 3: expected 2304 grey levels"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    write_fer2013(tmp_path, [f"0,{PIXELS},Training", row])
    with pytest.raises(DatasetError) as caught:
        load_dataset("fer2013", tmp_path, "train")
    assert "fer2013.csv" in str(caught.value)
    assert message in str(caught.value)


def test_missing_file_columns_and_rows(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no .*fer2013.csv"):
        load_dataset("fer2013", tmp_path, "train")
    (tmp_path / "fer2013.csv").write_text("label,pixels,Usage\n")
    with pytest.raises(DatasetError, match="missing: emotion"):
        load_dataset("fer2013", tmp_path, "train")
    (tmp_path / "fer2013.csv").write_text(HEADER + "\n")
    with pytest.raises(DatasetError, match="no rows below the header"):
        load_dataset("fer2013", tmp_path, "train")
    with pytest.raises(DatasetError, match="There is no folder"):
        load_dataset("fer2013", tmp_path / "nowhere", "train")
    with pytest.raises(UnknownNameError, match="Unknown split 'exam'"):
        load_dataset("fer2013", tmp_path, "exam")
    with pytest.raises(UnknownNameError, match="Unknown label set 'affectnet'"):
        load_dataset("affectnet", tmp_path, "train")


def test_ferplus_majority_by_hand(tmp_path: Path) -> None:
    """Columns: neutral happiness surprise sadness anger disgust fear contempt unknown NF."""
    votes = {
        "0,8,1,1,0,0,0,0,0,0": "happiness",  # single votes dropped, 8 of 8
        "4,5,0,0,0,0,0,0,0,0": "happiness",  # 5 of 9 is more than half
        "5,5,0,0,0,0,0,0,0,0": None,  # exactly half is not
        "0,4,3,2,1,0,0,0,0,0": None,  # 4 of 9
        "0,0,0,0,0,0,0,9,0,0": None,  # contempt
        "0,1,0,0,0,0,0,0,8,0": None,  # unknown
        "0,0,0,0,0,0,0,0,0,10": None,  # no face
        "0,0,0,0,0,2,6,0,2,0": "fear",  # 6 of 10; soft label over the seven: 2 and 6 of 8
        "1,1,1,1,1,1,1,1,1,1": None,  # nothing is left
    }
    write_fer2013(tmp_path, [f"0,{PIXELS},PublicTest"] * len(votes))
    lines = [VOTE_HEADER, *(f"PublicTest,f.png,{row}" for row in votes)]
    (tmp_path / "fer2013new.csv").write_text("\n".join(lines) + "\n")
    data = load_dataset("ferplus", tmp_path, "PublicTest")
    assert names_of(data.targets) == [name for name in votes.values() if name]
    assert data.rows.tolist() == [0, 1, 7]
    assert data.soft is not None
    assert data.soft[0].tolist() == pytest.approx([0, 0, 0, 1, 0, 0, 0])
    assert data.soft[1].tolist() == pytest.approx([0, 0, 0, 5 / 9, 0, 0, 4 / 9])
    assert data.soft[2].tolist() == pytest.approx([0, 0.25, 0.75, 0, 0, 0, 0])
    assert data.distributions().sum(1).tolist() == pytest.approx([1, 1, 1])


def test_ferplus_refuses_files_that_do_not_belong_together(tmp_path: Path) -> None:
    write_fer2013(tmp_path, [f"0,{PIXELS},Training"] * 2)
    (tmp_path / "fer2013new.csv").write_text(f"{VOTE_HEADER}\nTraining,f.png,0,9,0,0,0,0,0,0,0,0\n")
    with pytest.raises(DatasetError, match="expected 2 rows .* got 1 rows"):
        load_dataset("ferplus", tmp_path, "train")
    (tmp_path / "fer2013new.csv").write_text(f"{VOTE_HEADER}\nTraining,f.png,0,many,0,0,0,0,0,0,0,0\n")
    with pytest.raises(DatasetError, match="line 2: expected ten whole numbers"):
        load_dataset("ferplus", tmp_path, "train")


def make_rafdb(root: Path, entries: list[tuple[str, int]]) -> None:
    (root / "EmoLabel").mkdir()
    (root / "Image" / "aligned").mkdir(parents=True)
    (root / "EmoLabel" / "list_patition_label.txt").write_text("".join(f"{n} {label}\n" for n, label in entries))
    for index, (name, _) in enumerate(entries):
        picture = Image.new("RGB", (100, 100), (index, 0, 0))
        picture.save(root / "Image" / "aligned" / f"{Path(name).stem}_aligned.jpg", quality=100)


def test_rafdb_labels_and_seeded_validation(tmp_path: Path) -> None:
    train = [(f"train_{i:05d}.jpg", i % 7 + 1) for i in range(20)]
    make_rafdb(tmp_path, train + [("test_0001.jpg", 1), ("test_0002.jpg", 7)])
    test = load_dataset("rafdb", tmp_path, "test")
    assert names_of(test.targets) == ["surprise", "neutral"]
    assert test.pixels().shape == (2, 3, 100, 100)
    parts = [load_dataset("rafdb", tmp_path, split, seed=1) for split in ("train", "validation")]
    assert [len(part) for part in parts] == [18, 2]
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(20))
    again = load_dataset("rafdb", tmp_path, "validation", seed=1)
    assert (again.rows == parts[1].rows).all()
    native = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert names_of(parts[0].targets) == [native[row % 7] for row in parts[0].rows]


def test_rafdb_noise_list_and_errors(tmp_path: Path) -> None:
    make_rafdb(tmp_path, [("train_00001.jpg", 1), ("train_00002.jpg", 2), ("test_0001.jpg", 3)])
    labels = tmp_path / "EmoLabel"
    (labels / "noise01.txt").write_text("train_00001.jpg 4\ntrain_00002.jpg 4\ntest_0001.jpg 3\n")
    noisy = load_dataset("rafdb", tmp_path, "train", labels_file="noise01.txt")
    assert names_of(noisy.targets) == ["happiness"]
    (labels / "noise02.txt").write_text("train_00001.jpg 8\n")
    with pytest.raises(DatasetError, match="noise02.txt, line 1: expected .* label in 1..7"):
        load_dataset("rafdb", tmp_path, "train", labels_file="noise02.txt")
    with pytest.raises(DatasetError, match="There is no .*noise03.txt"):
        load_dataset("rafdb", tmp_path, "train", labels_file="noise03.txt")
    (tmp_path / "Image" / "aligned" / "test_0001_aligned.jpg").unlink()
    with pytest.raises(DatasetError, match="line 3: there is no .*test_0001_aligned.jpg"):
        load_dataset("rafdb", tmp_path, "test")


def test_class_folders(tmp_path: Path) -> None:
    for folder in ("Angry", "happy", "neutral"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        Image.new("L", (48, 48), 9).save(tmp_path / "test" / folder / "a.png")
    data = load_dataset("folder", tmp_path, "test")
    assert names_of(data.targets) == ["anger", "happiness", "neutral"]
    assert data.names == ("test/Angry/a.png", "test/happy/a.png", "test/neutral/a.png")


def test_class_folders_that_are_no_expression_are_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("0_angry", "1. Suprise", "contempt", "2-Joy", "unsurprised"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            Image.new("L", (48, 48), 9).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "contempt" / "c").write_bytes((tmp_path / "contempt" / "a.png").read_bytes())
    (tmp_path / "0_angry" / "notes.txt").write_text("notes")
    (tmp_path / "0_angry" / "photo").write_bytes((tmp_path / "contempt" / "a.png").read_bytes())
    (tmp_path / "0_angry" / "._a.png").write_bytes(b"a Mac's own")
    (tmp_path / "readme.md").write_text("notes")
    data = load_dataset("folder", tmp_path, "test")
    assert names_of(data.targets) == ["anger"] * 3 + ["surprise"] * 2 + ["happiness"] * 2
    assert "'1. Suprise' as surprise" in caplog.text
    assert "'contempt' (3)" in caplog.text and "'unsurprised' (2)" in caplog.text
    assert "2 other files" in caplog.text and "readme.md" in caplog.text and "0_angry/notes.txt" in caplog.text


def test_a_broken_picture_is_named_with_its_class_folder(tmp_path: Path) -> None:
    for folder in ("fear", "happy"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        Image.new("L", (48, 48), 9).save(tmp_path / "test" / folder / "a.png")
    (tmp_path / "test" / "happy" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"test/happy: 'a\.png'"):
        load_dataset("folder", tmp_path, "test")


def test_class_folders_of_other_classes_alone_are_an_error(tmp_path: Path) -> None:
    for folder in ("contempt", "other"):
        (tmp_path / folder).mkdir()
        Image.new("L", (48, 48), 9).save(tmp_path / folder / "a.png")
    with pytest.raises(DatasetError, match="contempt, other"):
        load_dataset("folder", tmp_path, "test")


def test_class_folders_with_numbers_are_what_the_user_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As Kaggle's copy of RAF-DB has them."""
    for folder in ("1", "2", "7"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        Image.new("L", (48, 48), int(folder)).save(tmp_path / "test" / folder / "a.png")
    with pytest.raises(DatasetError, match=r"found: 1, 2, 7\. .*--class-names 1=EXPRESSION,2=EXPRESSION"):
        load_dataset("folder", tmp_path, "test")
    names = {"1": "surprise", "2": "fear", "8": "anger"}
    data = load_dataset("folder", tmp_path, "test", class_names=names)
    assert names_of(data.targets) == ["surprise", "fear"] and [int(face[0, 0, 0]) for face in data.faces] == [1, 2]
    assert "'7' (1)" in caplog.text and "--class-names 7=EXPRESSION" in caplog.text and "called '8'" in caplog.text
    with pytest.raises(DatasetError, match="--labels folder"):
        load_dataset("rafdb", tmp_path, "test", class_names=names)


def test_class_folders_without_a_validation_folder_share_the_training_pictures(tmp_path: Path) -> None:
    for index in range(10):
        for base in ("train", "test"):
            folder = tmp_path / base / "fear"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L", (48, 48), index).save(folder / f"{index}.png")
    parts = [load_dataset("folder", tmp_path, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [9, 1, 10]
    assert not set(parts[0].names or ()) & set(parts[1].names or ())
    assert all(name.startswith("train/") for name in (*(parts[0].names or ()), *(parts[1].names or ())))


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Train", "valid", "Test"), ("Training", "PublicTest", "PrivateTest")]
)
def test_class_folders_of_splits_by_their_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for index, base in enumerate(names):
        (tmp_path / base / "fear").mkdir(parents=True)
        for number in range(index + 1):
            Image.new("L", (48, 48), index).save(tmp_path / base / "fear" / f"{number}.png")
    for index, split in enumerate(("train", "validation", "test")):
        assert [int(face[0, 0, 0]) for face in load_dataset("folder", tmp_path, split).faces] == [index] * (index + 1)


def test_class_folders_of_photos_of_several_sizes(tmp_path: Path) -> None:
    for side, folder in ((30, "fear"), (60, "sad")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (side, side), (side, 0, 0)).save(tmp_path / folder / "a.png")
    data = load_dataset("folder", tmp_path, "test")
    assert [face.shape for face in data.faces] == [(30, 30, 3), (60, 60, 3)]
    assert data.pixels(40).shape == (2, 3, 40, 40)
    assert data.take(np.array([1])).names == ("sad/a.png",)


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected one folder per expression"):
        load_dataset("folder", tmp_path, "test")
    (tmp_path / "fear").mkdir()
    with pytest.raises(DatasetError, match="hold no picture"):
        load_dataset("folder", tmp_path, "test")
