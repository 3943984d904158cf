"""Other systems' models by their place: one file or folder that was named, and what a folder of weights leaves out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fer_models.errors import CardError, WeightsError
from fer_models.models.architectures import ARCHITECTURES
from fer_models.models.classifier import Classifier, load_classifier, load_folder_classifier
from fer_models.models.external.files import (
    MODEL_SUFFIXES,
    card_files,
    external_file,
    external_files,
    external_name,
    is_hub_name,
    library_architecture,
)

#: Suffixes of PyTorch's other files, and of pickles.
_OTHER_PYTORCH: Final = (".bin", ".pt2", ".tar", ".pkl", ".joblib")
#: Suffixes of other frameworks' models.
_OTHER_FRAMEWORKS: Final = (".h5", ".hdf5", ".keras", ".pb", ".mlmodel", ".pdparams", ".caffemodel", ".engine")


def _load_folder(folder: Path, taken: Sequence[str], device: str, *, allow_download: bool) -> Classifier:
    """A model of Hugging Face's transformers, from a folder or, if that is allowed, from the hub."""
    name = folder.resolve().name
    if name in taken:
        raise WeightsError(f"There is already a model {name}. Rename the folder {folder}.")
    if not folder.is_dir():
        if not allow_download:
            raise WeightsError(f"There is no folder {folder}. To fetch a model of this name, add --allow-download.")
        from fer_models.models.external.hugging_face import download

        folder = download(folder.as_posix())
    return load_folder_classifier(folder, name, device)


def load_file(
    file: Path,
    taken: Sequence[str],
    device: str,
    engine: str,
    threads: int | None = None,
    *,
    allow_torchscript: bool = False,
    allow_download: bool = False,
) -> Classifier:
    """Another system's model in any folder, or in a folder of Hugging Face's transformers.

    Args:
        file: the file or the folder.
        taken: names of models that are loaded already.
        device: as for `load_classifier`.
        engine: as for `load_classifier`.
        threads: as for `load_classifier`.
        allow_torchscript: as for `load_classifier`.
        allow_download: `file` may be the name of a repository on the hub.

    Raises:
        FerError: as `load_classifier`; there is no such file, or its name is taken.
    """
    if file.is_dir() or is_hub_name(file):
        return _load_folder(file, taken, device, allow_download=allow_download)
    name = external_name(file)
    if name == file.name:
        suffixes = ", ".join((*MODEL_SUFFIXES, ".safetensors"))
        raise WeightsError(f"{file} is no model: files with {suffixes} are. Names go to --models.")
    if not file.is_file():
        raise WeightsError(f"There is no file {file}.")
    if name in taken:
        raise WeightsError(f"There is already a model {name}. Rename {file} and its card.")
    own = file.suffix == ".safetensors" and library_architecture(file) is None
    if own and not file.with_suffix(".json").is_file():
        raise CardError(without_card(file))
    if not own and external_file(file.parent, name) != file:
        raise WeightsError(f"{file} is not read: another file has its name. Rename one of them.")
    return load_classifier(name, file.parent, device, engine, threads, allow_torchscript=allow_torchscript)


def unread(weights: Path) -> list[str]:
    """Why files of weights in a folder are not even tried."""
    shadowed = [path for path in external_files(weights) if external_file(weights, external_name(path)) != path]
    bare = [path for path in sorted(weights.glob("*.safetensors")) if not card_files(path)]
    other = [path for path in sorted(weights.glob("*")) if _is_of_other_format(path)]
    return [
        *(f"{path} is not read: another file has its name. Rename one of them." for path in shadowed),
        *(without_card(path) for path in bare),
        *(f"{path} is not read: {path.suffix} is no format of models here. {_instead(path)}" for path in other),
        *(
            f"The folder {path} is not read. If it is a model of Hugging Face's transformers, name it: --model {path}"
            for path in sorted(weights.glob("*"))
            if (path / "config.json").is_file()
        ),
    ]


def _instead(path: Path) -> str:
    """What to do with a file in a format that is not read."""
    if path.suffix.lower() in _OTHER_FRAMEWORKS:
        return "Convert the network to ONNX or TFLite."
    return f"Save the network's state dict: torch.save(model.state_dict(), '{path.stem}.pth')."


def _is_of_other_format(path: Path) -> bool:
    """Whether a file's suffix is of models that are not read; NAME.pth.tar is read."""
    known = path.suffix.lower() in (*_OTHER_PYTORCH, *_OTHER_FRAMEWORKS)
    return known and external_name(path) == path.name and path.is_file()


def without_card(path: Path) -> str:
    """What is missing beside a safetensors file, and what to write."""
    return (
        f"{path} is left out: it has no card, so its architecture, labels and input are unknown. If it was trained "
        f"here, copy {path.stem}.json from beside it in runs/. Otherwise write {path.with_suffix('.json')} with its "
        f"architecture (torchvision:NAME, timm:NAME, or of this project: {', '.join(ARCHITECTURES)}), labels in the "
        "order of the logits and input; weights of this project's architectures also need name, title, "
        "training_labels, training_data, licence, parameters and sha256. docs/your-model.md has both to copy."
    )
