"""The flags that several commands share, each declared once, and what commands do with them."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fer_models.errors import UnknownNameError

if TYPE_CHECKING:  # the help should not wait for PyTorch
    from fer_models.analyzer import Analyzer
    from fer_models.evaluation.statistics import Interval

#: What --engine takes in every command.
ENGINES: Final = ("auto", "torch", "onnxruntime", "openvino")


def class_names(text: str) -> dict[str, str]:
    """A type of flags: NAME=EXPRESSION,... as expressions by name."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    names = {name.strip(): meant.strip() for name, _, meant in pairs}
    if len(names) < len(pairs) or not all((*names, *names.values())):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=EXPRESSION,... with each name once")
    return names


_FLAGS: Final[dict[str, dict[str, Any]]] = {
    "models": {"nargs": "+", "metavar": "NAME", "help": "only these models (default: all)"},
    "model": {
        "action": "append",
        "type": Path,
        "default": [],
        "metavar": "FILE",
        "dest": "model_files",
        "help": "also this file of another system, with its card beside: ONNX, TFLite or PyTorch weights; or a folder "
        "of a Hugging Face image classifier; may be repeated",
    },
    "allow-torchscript": {
        "action": "store_true",
        "help": "also run TorchScript files: they are code of their authors, so only those that you trust",
    },
    "allow-download": {
        "action": "store_true",
        "help": "let --model also be the name of a Hugging Face repository, which is then downloaded",
    },
    "peers": {
        "nargs": "+",
        "default": [],
        "metavar": "NAME",
        "help": "also models of other people's packages that are installed: fer, facex (they need "
        "requirements-tflite.txt; docs/your-model.md)",
    },
    "device": {"default": "auto", "help": "auto (a GPU if there is one), cpu, cuda, cuda:1 or mps (default: auto)"},
    "engine": {
        "choices": ENGINES,
        "default": "auto",
        "help": "what runs the networks; openvino is optional, faster, and less exact (default: auto, onnxruntime on a "
        "CPU, PyTorch in float16 on a CUDA device; torch is float32 everywhere)",
    },
    "weights": {"type": Path, "metavar": "DIR", "help": "folder of cards and weights (default: weights/)"},
    "data": {"type": Path, "required": True, "metavar": "DIR", "help": "folder with the dataset's files"},
    "labels": {"required": True, "help": "label set"},
    "class-names": {
        "type": class_names,
        "default": {},
        "metavar": "NAME=EXPRESSION,...",
        "help": "what names of class folders, or labels, stand for if they are no expressions, such as "
        "1=surprise,2=fear",
    },
    "split": {"default": "test", "help": "train, validation, test, or as in the dataset: PrivateTest (default: test)"},
    "faces": {
        "choices": ["auto", "whole", "detect"],
        "default": "auto",
        "help": "how pictures are read (default: auto, by their size and shape)",
    },
    "json": {"type": Path, "metavar": "FILE", "help": "write the results to this file"},
    "seed": {"type": int, "default": 0, "help": "of everything that is drawn at random (default: 0)"},
    "rate": {"default": 5.0, "help": "frames per second to analyse (default: %(default)g)"},
    "threads": {"type": int, "metavar": "N", "help": "CPU threads (default: all cores)"},
    "compile": {
        "action": "store_true",
        "help": "fuse steps with torch.compile: a minute of preparation for each size, then MobileNetV2 trains faster "
        "on CPUs",
    },
    "baseline": {
        "nargs": "+",
        "type": Path,
        "default": [],
        "metavar": "FILE",
        "help": "weights (.safetensors, with the card beside) of networks that are measured too, but are no models of "
        "this project: they are marked, and left out of the models' mean",
    },
}

#: What names models and how they are run, for every command that takes them.
MODEL_FLAGS: Final = ("models", "model", "peers", "allow-torchscript", "allow-download", "device", "engine", "weights")


def add_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str) -> None:
    """Declare shared flags, by their names without dashes."""
    for name in names:
        add_flag(parser, name)


def add_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup, name: str, **changes: Any) -> None:
    """Declare one shared flag, changed where this command needs it otherwise.

    Args:
        parser: of the command.
        name: without dashes.
        changes: as for `ArgumentParser.add_argument`.
    """
    parser.add_argument(f"--{name}", **_FLAGS[name] | changes)


def whole_number(least: int, most: int = 1_000_000) -> Callable[[str], int]:
    """A type of flags: a whole number within bounds, both included."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most:,}")
        return int(text)

    return parse


def positive(text: str) -> float:
    """A type of flags: a number above 0."""
    value = float(text)  # argparse words the ValueError
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def weights_folder(args: argparse.Namespace) -> Path:
    """The folder of --weights, or the default one."""
    from fer_models.analyzer import WEIGHTS

    return args.weights or WEIGHTS


def analyzer_of(args: argparse.Namespace, models: Sequence[str] | None = None) -> "Analyzer":
    """Load the models of --models, --model, --peers, --device, --engine and --weights.

    Args:
        args: of the command.
        models: instead of --models; such as end like files of models, or are folders, are those.

    Raises:
        FerError: they cannot be loaded.
    """
    from fer_models.analyzer import load_analyzer

    return load_analyzer(**loading_options(args, models))


def loading_options(args: argparse.Namespace, models: Sequence[str] | None = None) -> dict[str, Any]:
    """The arguments of `load_analyzer` that `analyzer_of` gives it.

    Raises:
        UnknownNameError: a file or folder was given to --models.
    """
    files = [*getattr(args, "model_files", [])]
    chosen = models or getattr(args, "models", None)
    if models:
        files += [Path(each) for each in models if _is_file(each)]
        chosen = [each for each in models if not _is_file(each)]
    else:
        _check_are_names(chosen or (), weights_folder(args), getattr(args, "peers", ()))
    return {
        "models": chosen,
        "device": args.device,
        "engine": args.engine,
        "weights": weights_folder(args),
        "files": files,
        "peers": getattr(args, "peers", ()),
        "allow_torchscript": getattr(args, "allow_torchscript", False),
        "allow_download": getattr(args, "allow_download", False),
    }


def _is_file(name: str) -> bool:
    """Whether what was given as a model is a file, by its suffix, or a folder."""
    from fer_models.models.external.files import external_name

    return external_name(Path(name)) != Path(name).name or "/" in name or Path(name).is_dir()


def _check_are_names(names: Sequence[str], weights: Path, peers: Sequence[str]) -> None:
    """Raise UnknownNameError for a file or folder where names are meant; other names are left to `load_analyzer`."""
    from fer_models.analyzer import list_models
    from fer_models.models.external.files import external_name

    known = [*list_models(weights), *peers]
    for name in names:
        path = Path(name)
        if name in known or not (_is_file(name) or path.exists()):
            continue
        model = external_name(path)
        is_known = model in known and path.parent.resolve() == weights.resolve()
        advice = f"Write --models {model}" if is_known else f"Files and folders are for --model: --model {name}"
        raise UnknownNameError("model", name, known, advice)


def further_models(args: argparse.Namespace) -> str:
    """The flags of --peers and --model as a record's command repeats them, with a blank in front of each."""
    peers = f" --peers {' '.join(args.peers)}" if args.peers else ""
    return peers + "".join(f" --model DIR/{path.name}" for path in args.model_files)


def given_class_names(args: argparse.Namespace) -> str:
    """The flag --class-names as a record's command repeats it, with a blank in front; "" if it was not given."""
    names = ",".join(f"{name}={meant}" for name, meant in args.class_names.items())
    return f" --class-names {shlex.quote(names)}" if names else ""


def with_interval(share: "Interval") -> str:
    """A share and its 95 % interval, for a table in the terminal."""
    return f"{share.value:7.2%}  [{share.low:.2%}, {share.high:.2%}]"


def use_threads(args: argparse.Namespace) -> None:
    """Compute with as many CPU threads as --threads says."""
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
