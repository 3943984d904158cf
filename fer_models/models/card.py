"""ModelCard: the facts about a model as data, beside its weights in weights/NAME.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from fer_models.errors import CardError
from fer_models.expressions import class_name
from fer_models.media.files import write_json
from fer_models.models.preprocessing import InputSpec
from fer_models.results import SHARED_CROP, CropSpec

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class TestFigures:
    """What a card states about its model on a test set. A card written by hand may lack any of it.

    Attributes:
        accuracy: in [0, 1].
        recall: by expression, in [0, 1]; None where no test face has that label.
    """

    __test__: ClassVar = False  # not a test case, whatever its name

    accuracy: _Share | None = None
    recall: Mapping[str, _Share | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCard:
    """Facts about one model; nothing in it is code.

    Attributes:
        name: what commands, files and the API call it, such as "eac_resnet50".
        title: what people read, such as "EAC (ResNet-50)".
        architecture: a key of `networks.ARCHITECTURES`.
        labels: expressions in the order of the logits. Never assume an order: join models by name.
        input: what the network is fed.
        training_labels: which label set it learned from, such as "FER2013" or "FER+ (7 expressions, majority)".
        training_data: which pictures, with provenance and licence.
        licence: of the weights.
        parameters: how many numbers the network has.
        multiply_adds: of one forward pass of one face; 0 if not counted.
        sha256: of the weight file.
        temperature: what logits are divided by before the softmax; fitted on the validation split.
        intended_use: what it is for.
        misuse: what it must not be used for.
        recipe: how it was trained: every setting, and the command.
        metrics: measured results, as `evaluate` and `calibrate` wrote them.
        weaknesses: what it is known to get wrong, in words.
        crop: how it wants its face cut out.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    name: str
    title: str
    architecture: str
    labels: tuple[Annotated[str, AfterValidator(class_name)], ...]
    input: InputSpec
    training_labels: str
    training_data: str
    licence: str
    parameters: int
    sha256: str
    temperature: float = 1.0
    intended_use: str = ""
    misuse: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    multiply_adds: int = 0
    weaknesses: str = ""
    crop: CropSpec = SHARED_CROP

    @property
    def label_set(self) -> str | None:
        """The label set that the model was trained on, such as "fer2013"; None if the recipe does not state it."""
        settings = self.recipe.get("settings")
        labels = settings.get("labels") if isinstance(settings, Mapping) else None
        return labels if isinstance(labels, str) else None

    @property
    def test_figures(self) -> TestFigures:
        """The figures on the test split of the label set that it was trained on; empty where the card has none."""
        try:
            return _TEST_FIGURES.validate_python(self.metrics.get(f"{self.label_set}_test", {}))
        except ValidationError:
            return TestFigures()


_CARD: Final = TypeAdapter(ModelCard)
_TEST_FIGURES: Final = TypeAdapter(TestFigures)


def read_card(path: Path, base: ModelCard | None = None) -> ModelCard:
    """Read a card from JSON.

    Args:
        path: the file.
        base: a card whose fields stand in for those the file leaves out, also inside its input; None: it must have all.

    Raises:
        CardError: the file is missing, is not JSON, or lacks or has too many fields.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if base is not None:
            default = asdict(base)
            data = default | data | {"input": default["input"] | data.get("input", {})}
    except FileNotFoundError:
        raise CardError(f"There is no model card {path}. Restore it with: git checkout -- {path}") from None
    except (ValueError, TypeError) as error:
        raise CardError(f"The model card {path} is malformed: {error}") from error
    return parse_card(data, str(path))


def parse_card(data: Any, source: str) -> ModelCard:
    """A card from the plain containers of its JSON.

    Args:
        data: as `dataclasses.asdict` gives them.
        source: where they come from, for the error.

    Raises:
        CardError: they lack or have too many fields, or labels are repeated or missing.
    """
    try:
        card = _CARD.validate_python(data)
    except ValidationError as error:
        raise CardError(f"The model card {source} is malformed: {_reasons(error)}") from error
    if len(set(card.labels)) != len(card.labels) or not card.labels:
        raise CardError(f"The model card {source} repeats or lacks labels: {card.labels}")
    return card


def _reasons(error: ValidationError) -> str:
    """The first reasons, each after the field that it is about."""
    first = error.errors(include_url=False)[:3]
    return "; ".join(": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"]))) for item in first)


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as readable JSON.

    Raises:
        CardError: the file cannot be written.
    """
    write_json(path, asdict(card), CardError, indent=2)
