"""Compare's results as files: every number, every escape, nothing from outside."""

import contextlib
import csv
import io
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dashboard.compare.annotated import annotated_png
from dashboard.compare.chart_pdf import chart_pdf
from dashboard.compare.exports import csv_text, file_stem, json_text, latex_text
from dashboard.compare.keep_section import KeepSection
from dashboard.compare.report import picture_report
from dashboard.compare.view import VERSION, chart_words
from dashboard.components.analyzed_image import AnalyzedImage, analyze_picture
from dashboard.components.display import ModelDisplay, model_display
from dashboard.components.file_download import FileDownload
from dashboard.components.templates import render
from dashboard.components.uploads import SESSION_FOLDER_PREFIX
from dashboard.server.uploads_folder import sweep
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.expressions import EXPRESSIONS
from fer_models.media.files import CSV_ENCODING
from fer_models.results import Prediction
from fer_models.schema import to_json

LABELS = ("fear", "happiness")


def answer(model: str, fear: float) -> Prediction:
    values = np.array([fear, 1 - fear], np.float32)
    return Prediction(model, LABELS, np.log(values), values, 1.0, 5.0)


@pytest.fixture(scope="module")
def full(analyzer: Analyzer, picture: NDArray[np.uint8]) -> AnalyzedImage:
    return analyze_picture(analyzer, picture, name="two people_1.png")


@pytest.fixture
def small(full: AnalyzedImage) -> AnalyzedImage:
    """Two models that know two expressions."""
    answers = ((0.75, 0.25), (0.5, 0.12345678))
    faces = tuple(
        replace(face, predictions={"resnet50": answer("resnet50", first), "vgg16": answer("vgg16", second)}, maps={})
        for face, (first, second) in zip(full.faces, answers, strict=True)
    )
    return replace(full, faces=faces)


@pytest.fixture
def display(analyzer: Analyzer) -> ModelDisplay:
    return model_display({name: analyzer.classifiers[name].card for name in ("resnet50", "vgg16")})


def test_the_table_has_every_probability_with_four_decimals(small: AnalyzedImage, display: ModelDisplay) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(small, display))))
    assert [(row["face"], row["model"]) for row in rows] == [
        (face, model) for face in ("1", "2") for model in ("resnet50", "vgg16", "ensemble_fer2013")
    ]
    assert [row["p_fear"] for row in rows] == ["0.7500", "0.2500", "0.5000", "0.5000", "0.1235", "0.3117"]
    assert [row["answer"] for row in rows] == ["fear", "happiness", "fear", "fear", "happiness", "happiness"]
    assert [row["confidence"] for row in rows][:2] == ["0.7500"] * 2
    assert [row["margin"] for row in rows] == ["0.5000", "0.5000", "0.0000", "0.0000", "0.7531", "0.3765"]
    assert list(rows[0])[-3:] == ["p_fear", "p_happiness", "version"]
    assert rows[3] | {"file": "two people_1.png", "x1": "100.0", "x2": "200.0", "trained_on": "FER2013"} == rows[3]
    assert {row["version"] for row in rows} == {VERSION} and re.fullmatch(r"fer-compare \d+\.\d+\.\d+", VERSION)


def test_a_table_leaves_unknown_expressions_empty_and_holds_no_formula(
    small: AnalyzedImage, display: ModelDisplay
) -> None:
    face = small.faces[0]
    knows = Prediction("vgg16", ("anger",), np.zeros(1, np.float32), np.ones(1, np.float32), 1.0, 5.0)
    one = replace(
        small, faces=(replace(face, predictions={"resnet50": face.predictions["resnet50"], "vgg16": knows}),), name="=1"
    )
    first, second, _ = csv.DictReader(io.StringIO(csv_text(one, display)))
    assert (first["p_anger"], first["p_fear"]) == ("", "0.7500") and (second["p_fear"], second["margin"]) == ("", "")
    assert first["file"] == "'=1"
    assert "& -- &" in latex_text(one, display, "2026-01-02")


def test_the_latex_table_is_for_booktabs_and_escaped(small: AnalyzedImage, display: ModelDisplay) -> None:
    text = latex_text(small, display, "2026-01-02")
    assert r"1 & RESNET50 & FER2013 & \textbf{0.750} & 0.250 \\" in text
    assert r"2 & VGG16 & FER2013 & 0.123 & \textbf{0.877} \\" in text
    assert text.count(r"\midrule") == 2 and text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"two people\_1.png" in text and text.startswith(f"% {VERSION}, 2026-01-02.") and f"with {VERSION}" in text
    odd = latex_text(replace(small, name=r"a&b%$#{}~^\.png"), display, "")
    assert r"a\&b\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}.png" in odd


def test_the_json_is_what_the_endpoint_answers(
    full: AnalyzedImage, analyzer: Analyzer, picture: NDArray[np.uint8]
) -> None:
    made, wanted = json.loads(json_text(full)), to_json(picture, analyzer.analyze([picture]))
    for face in [*made["faces"], *wanted["faces"]]:
        for model in face["models"].values():
            assert model.pop("latency_ms") > 0
    for face in wanted["faces"]:
        for model in face["models"].values():
            model["probabilities"] = pytest.approx(model["probabilities"], abs=1e-5)
    assert made == wanted
    assert json.loads(json_text(replace(full, total=5)))["notes"] == ["Only the 2 largest of 5 faces are listed."]


def test_the_picture_stands_alone(full: AnalyzedImage, display: ModelDisplay, small: AnalyzedImage) -> None:
    sheet = np.asarray(Image.open(io.BytesIO(annotated_png(small, display, "2026-01-02"))))
    height, width = full.picture.shape[:2]
    # Around the picture, pixel by pixel as it is, lie a title, a row per face, each model's colour, and the version.
    column = (sheet.shape[1] - width) // 2
    np.testing.assert_array_equal(sheet[68 : 68 + height, column : column + width], full.picture)
    assert (sheet[:68] < 128).any() and sheet.shape[0] > 68 + height + 3 * 34
    below = sheet[68 + height :].reshape(-1, 3)
    for name in ("resnet50", "vgg16", "ensemble_fer2013"):
        colour = [int(display.styles[name].colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (below == colour).all(1).sum() >= 150


def test_the_report_is_one_file_with_every_face_and_model(full: AnalyzedImage, analyzer: Analyzer) -> None:
    cards = {name: model.card for name, model in analyzer.classifiers.items()}
    misuse = replace(cards["vgg16"], misuse="Not for <hiring>.")
    display = model_display({**cards, "vgg16": misuse})
    report = picture_report(replace(full, name="<b>.png"), display, "2026-01-02")
    html = render("compare/report.html", report=report)
    for text in (VERSION, "2026-01-02", "&lt;b&gt;.png", "Not for &lt;hiring&gt;.", "Face 1 of 2", "Face 2 of 2"):
        assert text in html
    assert "<b>.png" not in html and "<script" not in html and "http" not in html
    # The picture, and of each face its crop and a map per model.
    assert html.count("<img") == html.count("data:image/jpeg") == 1 + 2 * 5
    for card in display.cards.values():
        assert html.count(f"<td>{card.title}</td>") == 1 and card.sha256 in html
    for face in full.faces:
        for prediction in face.predictions.values():
            assert f">{100 * prediction.confidence:.1f}</td>" in html
    assert all(html.count(f">{label.capitalize()}</th>") == 2 for label in EXPRESSIONS)


def test_a_chart_says_what_it_shows(full: AnalyzedImage) -> None:
    words = chart_words(full, 1)
    assert words == {"title": "Probability of every expression: face 2 of 2 in two people_1.png", "note": VERSION}


@pytest.mark.parametrize(
    ("name", "stem"),
    [("two people.jpg", "two-people"), ("a/b\\..png", "b"), ("", "picture"), ("é_1.x.png", "é_1.x"), ("..", "picture")],
)
def test_files_are_named_after_the_picture(name: str, stem: str) -> None:
    assert file_stem(name) == stem


def pdf_texts(content: bytes) -> list[str]:
    """Every text of a PDF file, as far as it is written as characters."""
    drawn = b""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S):
        with contextlib.suppress(zlib.error):
            drawn += zlib.decompress(stream)
    texts = []
    for array in re.findall(rb"\[((?:[^\]()]|\((?:\\.|[^\\()])*\))*)\]\s*TJ|(\((?:\\.|[^\\()])*\))\s*Tj", drawn, re.S):
        pieces = re.findall(rb"\(((?:\\.|[^\\()])*)\)", b"".join(array), re.S)
        text = b"".join(pieces).replace(b"\0", b"")  # two bytes per character
        texts.append(re.sub(rb"\\(.)", rb"\1", text).decode("latin-1"))
    return texts


def test_the_chart_is_one_page_of_vectors_and_text_that_stands_alone(
    small: AnalyzedImage, display: ModelDisplay
) -> None:
    named = replace(small, name="two $a$ (1).png")
    content = chart_pdf(named, 1, ["vgg16", "resnet50"], display, "2026-11-26")
    assert content.startswith(b"%PDF") and content.rstrip().endswith(b"%%EOF")
    assert b"/Count 1" in content and b"/Subtype /Image" not in content and b"/Type3" not in content
    texts = pdf_texts(content)
    assert "Probability of every expression: face 2 of 2 in two $a$ (1).png" in texts
    assert f"{VERSION}, 2026-11-26" in texts and "Probability (%)" in texts
    assert [text for text in texts if text.lower() in EXPRESSIONS] == [one.capitalize() for one in EXPRESSIONS]
    titles = [display.column_titles[name] for name in ("resnet50", "vgg16")]
    assert [text for text in texts if text in display.column_titles.values()] == titles  # no ensemble was ticked
    one = chart_pdf(named, 1, ["vgg16"], display, "2026-11-26")
    assert titles[0] not in pdf_texts(one) and titles[1] in pdf_texts(one)


def test_the_bars_of_the_chart_are_the_probabilities(
    small: AnalyzedImage, display: ModelDisplay, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    drawn: dict[str, dict[int, float]] = {}

    def bar(axes: Axes, places: list[float], heights: list[float], width: float, **style: Any) -> Any:
        drawn[style["label"]] = dict(zip((round(place) for place in places), heights, strict=True))
        return plain(axes, places, heights, width, **style)

    plain = Axes.bar
    monkeypatch.setattr(Axes, "bar", bar)
    chart_pdf(small, 0, ["resnet50", "vgg16", "ensemble_fer2013"], display, "2026-11-26")
    fear, happiness = (EXPRESSIONS.index(name) for name in LABELS)
    heights = {"resnet50": (75, 25), "vgg16": (25, 75), "ensemble_fer2013": (50, 50)}
    for name, (first, second) in heights.items():  # what a model does not know has no bar
        assert drawn[display.column_titles[name]] == {fear: pytest.approx(first), happiness: pytest.approx(second)}


def test_files_are_written_where_downloads_lie_and_only_of_a_picture(
    full: AnalyzedImage, analyzer: Analyzer, tmp_path: Path
) -> None:
    with gr.Blocks():
        section = KeepSection(
            tmp_path, model_display({name: model.card for name, model in analyzer.classifiers.items()})
        )
    names = list(analyzer.classifiers)
    kinds = {kind: section.write(kind, tmp_path, full, 1, names).name for kind in section.buttons}
    assert kinds == {
        "picture": "two-people_1-annotated.png",
        "chart": "two-people_1-chart.pdf",
        "csv": "two-people_1-probabilities.csv",
        "latex": "two-people_1-probabilities.tex",
        "json": "two-people_1-faces.json",
        "report": "two-people_1-report.html",
    }
    assert (tmp_path / kinds["csv"]).read_text(CSV_ENCODING).startswith("file,face,x1")
    with pytest.raises(FerError, match="discarded"):
        section.write("csv", tmp_path, None, 0, names)
    with pytest.raises(FerError, match="discarded"):
        section.write("chart", tmp_path, full, 2, names)


def test_a_download_lies_in_a_folder_of_its_own_that_is_swept_like_an_upload(tmp_path: Path) -> None:
    with gr.Blocks() as page:
        download, button = FileDownload(tmp_path, "file"), gr.Button()
        download.connect(button, lambda folder, text: _written(folder / "a.txt", text), [gr.Textbox()], "failed")
    (write,) = (event.fn for event in page.fns.values() if event.fn is not None)
    first, second = Path(write("one")), Path(write("two"))
    assert (first.read_text(), second.read_text()) == ("one", "two") and first.parent != second.parent
    assert first.parent.parent == tmp_path and not first.parent.name.startswith(SESSION_FOLDER_PREFIX)
    assert sweep(tmp_path, lifetime=0) == 2 and not list(tmp_path.iterdir())
    with pytest.raises(gr.Error, match="failed"):
        write(1)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
