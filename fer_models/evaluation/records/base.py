"""Records of what commands measured: one class per kind of file in weights/results/, for its writer and its readers.

A record is checked when it is made and when it is read. What a file lacks is not written back, so reading a file and
writing it again changes nothing. Shares lie in [0, 1]; times are in the unit that their name ends with.
"""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from fer_models import __version__
from fer_models.evaluation.statistics import Interval, PairedTest, ReliabilityBin
from fer_models.models.ensemble import ENSEMBLE
from fer_models.registry import MODELS

T = TypeVar("T")

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


def _within(interval: Interval, least: float) -> Interval:
    if not all(least <= value <= 1 for value in (interval.value, interval.low, interval.high)):
        raise ValueError(f"expected an interval within [{least:g}, 1]")
    return interval


def _bin(reliability: ReliabilityBin) -> ReliabilityBin:
    shares = (reliability.low, reliability.high, reliability.confidence, reliability.accuracy)
    if reliability.count < 0 or not all(0 <= share <= 1 for share in shares):
        raise ValueError("expected a count and shares from 0 to 1")
    return reliability


def _pair(pair: PairedTest) -> PairedTest:
    shares = (pair.p_value, pair.agreement)
    if min(pair.only_first, pair.only_second) < 0 or not all(0 <= share <= 1 for share in shares):
        raise ValueError("expected counts and shares from 0 to 1")
    return pair


ShareInterval = Annotated[Interval, AfterValidator(lambda interval: _within(interval, 0))]
GapInterval = Annotated[Interval, AfterValidator(lambda interval: _within(interval, -1))]
CheckedBin = Annotated[ReliabilityBin, AfterValidator(_bin)]
CheckedPair = Annotated[PairedTest, AfterValidator(_pair)]


def in_order(by_name: Mapping[str, T]) -> dict[str, T]:
    """By model name, in the project's order of models, then others by name, the ensemble last."""
    others = sorted(set(by_name).difference(MODELS, [ENSEMBLE]))
    return {name: by_name[name] for name in (*MODELS, *others, ENSEMBLE) if name in by_name}


def package_versions(*more: str) -> dict[str, str]:
    """Versions of this project, Python, PyTorch and NumPy, and of further packages by their names on PyPI."""
    names = ("torch", "numpy", *more)
    own = {"fer_models": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in names}


class Record(BaseModel):
    """Part of a file. Immutable; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Provenance(Record):
    """Where a file comes from; the base of every record that is a whole file.

    Attributes:
        command: that wrote it.
        versions: of the packages it ran with, by name.
        engine: what ran the networks and its precision, such as "onnxruntime, float32"; files from before it was kept
            have none and were measured with PyTorch in float32.
        schema_version: of the record; files from before it was kept are version 1.
    """

    command: str = ""
    versions: dict[str, str] = {}
    engine: str = ""
    schema_version: Literal[1] = 1

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """SHA-256 of the weights that were measured, by model name, without baselines; empty where none are kept."""
        return {}

    def document(self) -> dict[str, Any]:
        """The file's content as plain containers: the keys that were set, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)

    def text(self, indent: int | None = 1) -> str:
        """The file's content; without an indent on one line."""
        return json.dumps(self.document(), indent=indent, allow_nan=False) + "\n"
