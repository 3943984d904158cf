"""The file of one session while its card is filled in: kept apart, tried, and put into the weights folder."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.components.uploads import SESSION_FOLDER_PREFIX
from fer_models.errors import WeightsError
from fer_models.models.classifier import Classifier, load_classifier
from fer_models.models.external.draft import Draft, draft_card
from fer_models.models.external.files import MODEL_SUFFIXES, external_name


@dataclass(frozen=True, eq=False)
class ChosenFile:
    """A file that was uploaded, and its first card.

    Attributes:
        folder: that it lies in, alone.
        path: of the file.
        draft: its first card.
    """

    folder: Path
    path: Path
    draft: Draft

    @property
    def suffix(self) -> str:
        """Such as ".onnx" or ".pth.tar"."""
        return self.path.name[len(external_name(self.path)) :]

    def close(self) -> None:
        """Delete it, once its session ends."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, name: str, card: Mapping[str, Any]) -> Classifier:
        """The model with a card.

        Args:
            name: what it is called.
            card: written beside the file for this time.

        Raises:
            FerError: the file and the card are no model.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            file = Path(place) / f"{name}{self.suffix}"
            _second_name(self.path, file)
            (Path(place) / f"{name}.json").write_text(_json(card), encoding="utf-8")
            try:
                return load_classifier(name, Path(place), "cpu")
            except Exception as error:
                error.args = tuple(_without(place, each) for each in error.args)  # nobody knows that folder
                raise

    def save(self, name: str, card: Mapping[str, Any], weights: Path) -> tuple[Path, Path]:
        """Put the file and its card into the weights folder.

        Args:
            name: what the model is called.
            card: beside it.
            weights: the folder.

        Returns:
            The file and its card.

        Raises:
            WeightsError: there is a model of that name, or they cannot be written.
        """
        file, beside = weights / f"{name}{self.suffix}", weights / f"{name}.json"
        cards = {f"{name}.json", f"{name}.toml"}
        if any(external_name(path) == name or path.name in cards for path in weights.glob("*")):
            raise WeightsError(f"There is a model {name} in the weights folder already. Choose another name.")
        try:
            weights.mkdir(parents=True, exist_ok=True)
            part = weights / f".{name}.partial"
            shutil.copyfile(self.path, part)
            beside.write_text(_json(card), encoding="utf-8")
            os.replace(part, file)
        except OSError as error:
            raise WeightsError(f"{file} cannot be written: {error.strerror}.") from error
        return file, beside


def choose(path: Path, name: str, uploads: Path) -> ChosenFile:
    """Keep an upload for a session, and write its first card.

    Args:
        path: where the upload lies.
        name: of the file on its owner's machine.
        uploads: folder of all uploads.

    Raises:
        FerError: it is no model here, and why.
    """
    name = re.sub(r"[^\w.-]", "_", Path(name).name)
    if external_name(Path(name)) == name:
        suffixes = ", ".join((*MODEL_SUFFIXES, ".safetensors"))
        raise WeightsError(f"{name} is no model: files with {suffixes} are.")
    folder = Path(tempfile.mkdtemp(prefix=f"{SESSION_FOLDER_PREFIX}model-", dir=uploads))
    kept = folder / name
    try:
        _second_name(path, kept)
        return ChosenFile(folder, kept, draft_card(kept))
    except Exception as error:
        error.args = tuple(_without(str(folder), each) for each in error.args)
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _second_name(path: Path, target: Path) -> None:
    """A second name of a file, under which it stays when the first is deleted; or a copy."""
    try:
        os.link(path, target)
    except OSError:  # a file system without second names
        shutil.copyfile(path, target)


def _json(card: Mapping[str, Any]) -> str:
    return json.dumps(card, indent=2, ensure_ascii=False) + "\n"


def _without(folder: str, text: Any) -> Any:
    return text.replace(f"{folder}{os.sep}", "") if isinstance(text, str) else text
