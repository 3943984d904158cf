import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import fer_models.analyzer
from fer_models.analyzer import Analyzer
from fer_models.cli.main import COMMANDS, main
from fer_models.media.images import read_image
from fer_models.registry import MODELS
from fer_models.schema import to_json
from tests.conftest import FakeDetector
from tests.helpers.graphs import export, small_net, write_card

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _fake_centerface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer_models.analyzer, "CenterFace", FakeDetector)


@pytest.fixture
def files(tmp_path: Path, picture: NDArray[np.uint8]) -> list[str]:
    """Two faces, no picture at all, no face."""
    two, broken, none = (tmp_path / name for name in ("two.png", "broken.jpg", "none.png"))
    cv2.imwrite(str(two), picture[:, :, ::-1])
    broken.write_bytes(b"not a picture")
    cv2.imwrite(str(none), np.zeros((50, 50, 3), np.uint8))
    return [str(two), str(broken), str(none)]


@pytest.fixture
def flags(weights_dir: Path) -> list[str]:
    return ["--weights", str(weights_dir), "--device", "cpu"]


def without_latency(document: dict[str, object]) -> str:
    text = json.loads(json.dumps(document))
    for face in text["faces"]:
        for model in face["models"].values():
            del model["latency_ms"]
    return json.dumps(text)


def test_a_line_a_file_in_order_and_bad_files_do_not_stop_it(
    files: list[str], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", *files, "--json", "-", *flags]) == 1
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == files
    assert [list(line) for line in lines] == [["file", "image", "faces"], ["file", "error"], ["file", "image", "faces"]]
    assert [len(line.get("faces", ())) for line in lines] == [2, 0, 0]
    assert "broken.jpg" in err and "Traceback" not in err


def test_the_numbers_are_those_of_analyze_and_to_json(
    files: list[str], flags: list[str], capsys: pytest.CaptureFixture[str], analyzer: Analyzer
) -> None:
    assert main(["predict", files[0], "--json", "-", *flags]) == 0
    line = json.loads(capsys.readouterr().out)
    del line["file"]
    image = read_image(Path(files[0]))
    assert without_latency(line) == without_latency(to_json(image, analyzer.analyze([image])))


def test_a_cut_off_picture_is_read_with_a_note(
    files: list[str], flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-400])
    assert main(["predict", str(tmp_path / "cut.jpg"), "--json", "-", *flags]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert main(["predict", str(tmp_path / "cut.jpg"), *flags]) == 0
    assert note in capsys.readouterr().out


def test_json_to_a_file(files: list[str], flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["predict", files[2], files[0], "--json", str(out), *flags]) == 0
    assert [len(json.loads(line)["faces"]) for line in out.read_text().splitlines()] == [0, 2]
    assert capsys.readouterr().out == ""


def test_no_name_of_a_file_stops_it(
    files: list[str], flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names that are no text, or would command the terminal, are shown harmlessly."""
    strange = tmp_path / "caf\udce9\x1b[31m.jpg"
    strange.write_bytes(Path(files[0]).read_bytes())
    assert main(["predict", str(strange), str(tmp_path / "gone\udce9.jpg"), files[0], *flags]) == 1
    out, err = capsys.readouterr()
    assert "caf" in out and files[0] in out and "gone" in err
    (out + err).encode()  # what a strict terminal does
    assert "\x1b" not in out + err


def test_models_and_whole_image(files: list[str], flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--json", "-", "--whole-image", "--models", "vgg16", "resnet50", *flags]
    assert main(["predict", files[2], *arguments]) == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert face["box"] == [0, 0, 50, 50]
    assert list(face["models"]) == ["vgg16", "resnet50"]


def test_the_table_is_for_people(files: list[str], flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", *files, *flags]) == 1
    out = capsys.readouterr().out
    assert "two.png (230 x 100)" in out and "face 2 at 100, 0, 200, 100" in out
    assert all(out.count(f" {name} ") == 2 for name in MODELS)
    assert "could not be read" in out and "no face found; --whole-image" in out


def test_the_table_says_what_makes_a_face_hard_to_read(
    files: list[str], flags: list[str], tmp_path: Path, picture: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), picture[:, :100] // 30)
    assert main(["predict", str(tmp_path / "dark.png"), *flags]) == 0
    assert "note: The face has hardly any contrast" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "alexnet"], "Unknown model 'alexnet'. Known: resnet50, vgg16"),
        (["--device", "gpu"], "Unknown device 'gpu'"),
        (["--weights", "/nowhere"], "no model cards in /nowhere"),
        (["--json", "/nowhere/out.jsonl"], "Cannot write /nowhere/out.jsonl: No such file"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    files: list[str], flags: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["predict", files[0], *flags, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("FOLDER/theirs.onnx", "--model FOLDER/theirs.onnx"),
        ("theirs.ONNX", "--model theirs.ONNX"),  # it need not exist to look like one
        ("FOLDER", "--model FOLDER"),
        ("someone/their-model", "--model someone/their-model"),
        ("WEIGHTS/vgg16.safetensors", "--models vgg16"),
    ],
)
def test_a_file_among_the_names_is_shown_its_flag(
    files: list[str],
    flags: list[str],
    tmp_path: Path,
    weights_dir: Path,
    capsys: pytest.CaptureFixture[str],
    given: str,
    advice: str,
) -> None:
    given, advice = (
        each.replace("FOLDER", str(tmp_path)).replace("WEIGHTS", str(weights_dir)) for each in (given, advice)
    )
    assert main(["predict", files[0], "--models", "resnet50", given, *flags]) == 2
    err = capsys.readouterr().err
    assert f"Unknown model '{given}'" in err and err.endswith(f"{advice}\n")


def test_a_folder_with_a_models_name_does_not_hide_the_model(
    files: list[str],
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "vgg16").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["predict", files[0], "--models", "vgg16", *flags]) == 0
    assert " vgg16 " in capsys.readouterr().out


@pytest.mark.parametrize("change", ["missing", "altered", "truncated"])
def test_bad_weights_are_told(
    tmp_path: Path, weights_dir: Path, files: list[str], capsys: pytest.CaptureFixture[str], change: str
) -> None:
    data = (weights_dir / "vgg16.safetensors").read_bytes()
    (tmp_path / "vgg16.json").write_bytes((weights_dir / "vgg16.json").read_bytes())
    if change != "missing":
        (tmp_path / "vgg16.safetensors").write_bytes(data[:-1] + b"?" if change == "altered" else data[:-1])
    assert main(["predict", files[0], "--weights", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert {"missing": "There is no weight file"}.get(change, change) in err
    assert "git checkout -- " in err


def test_ctrl_c_is_not_a_stack_trace(
    files: list[str], flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Analyzer, "analyze", interrupt)
    assert main(["predict", files[0], *flags]) == 130


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_is_quick() -> None:
    program = (
        "import sys; from fer_models.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print([name for name in ('torch', 'numpy', 'cv2') if name in sys.modules])"
    )
    for arguments in (["--help"], ["predict", "--help"], ["--version"]):
        result = python("-c", program, *arguments)
        assert result.stdout.endswith("[]\n"), arguments
        assert result.stderr == ""
    assert all(name in python("-m", "fer_models", "--help").stdout for name in COMMANDS)


def test_wrong_usage_is_told() -> None:
    for arguments in ([], ["paint"], ["predict"]):
        result = python("-m", "fer_models", *arguments)
        assert result.returncode == 2
        assert "usage: python -m fer_models" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_reader_that_leaves_early_is_no_error(files: list[str], flags: list[str]) -> None:
    command = [sys.executable, "-m", "fer_models", "predict", files[0], "--whole-image", "--json", "-", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 141


def test_a_model_file_is_a_further_model(
    files: list[str], flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = export(small_net(), tmp_path / "theirs.onnx")
    write_card(path)
    assert main(["predict", files[0], "--json", "-", "--models", "vgg16", "--model", str(path), *flags]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [list(face["models"]) for face in document["faces"]] == [["vgg16", "theirs"]] * 2
    assert main(["predict", files[0], "--model", "vgg16", *flags]) == 2
    assert "--models" in capsys.readouterr().err
