"""Native class names as expressions: numbers, synonyms, misspellings, and what is none."""

import pytest

from fer_models.errors import UnknownNameError
from fer_models.expressions import ClassNames, expression


@pytest.mark.parametrize(
    ("native", "word"),
    [
        *(("Happy", "happiness"), (" angry ", "anger"), ("NEUTRAL", "neutral"), ("unhappy", "sadness")),
        *(("0_angry", "anger"), ("05 - Sad", "sadness"), ("3.fearful", "fear"), ("No_expression", "neutral")),
        *(("ang", "anger"), ("HAP", "happiness"), ("Neutral face", "neutral"), ("4_sad_faces", "sadness")),
    ],
)
def test_native_names(native: str, word: str) -> None:
    assert expression(native) == word


@pytest.mark.parametrize(
    ("native", "word"),
    [
        *(("Suprise", "surprise"), ("hapiness", "happiness"), ("nuetral", "neutral"), ("6_Disgut", "disgust")),
        *(("contempt", None), ("other", None), ("unsurprised", None), ("hangry", None), ("sand", None), ("far", None)),
        *(("", None), ("7", None), ("\u8868", None)),
    ],
)
def test_a_misspelling_is_accepted_and_said_where_one_expression_alone_is_near(native: str, word: str | None) -> None:
    classes = ClassNames()
    assert classes.expression(native, 2) == word
    assert classes.guessed == ({native: word} if word else {})
    assert classes.unknown == ({} if word else {native: 2})
    with pytest.raises(UnknownNameError):
        expression(native)


def test_numbers_stand_for_what_the_user_says_alone() -> None:
    classes = ClassNames({"1": "surprise", "02": "afraid", "angry": "disgust", "3": "contempt", "9": "neutral"})
    names = ["1", " 02 ", "angry", "3", "4", "."]
    assert [classes.expression(name) for name in names] == ["surprise", "fear", "disgust", None, None, None]
    assert classes.unknown == {"contempt": 1, "4": 1, ".": 1}
    text = " ".join(classes.notes())
    assert "--class-names 4=EXPRESSION" in text and "called '9'" in text
    words = ClassNames()
    words.expression("contempt")
    assert "--class-names" not in " ".join(words.notes())


def test_of_many_unknown_names_the_frequent_ones_are_named() -> None:
    classes = ClassNames()
    for number in range(12):
        classes.expression(f"c{number:02}", number + 1)
    (note,) = classes.notes()
    assert "78 labels" in note and "'c11' (12)" in note and "2 other names" in note and "c00" not in note
