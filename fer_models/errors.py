"""Typed errors whose messages say what is wrong and what to do; the UI and the commands show them as they are."""

from collections.abc import Iterable


class FerError(Exception):
    """Base of all errors that a user can act on; the message may be shown as it is."""


class ImageError(FerError):
    """A picture cannot be used: unreadable, empty, too large, or of an unexpected shape."""


class VideoError(FerError):
    """A video cannot be used: no video, damaged, too long or too large; or one cannot be written."""


class DatasetError(FerError):
    """A dataset file is missing or malformed. The message names file, row and the expected shape."""


class BatchError(FerError):
    """A batch cannot be read or written: its folder or zip, its checkpoint, its output."""


class WeightsError(FerError):
    """A weight file is missing, altered, or does not fit its model card."""


class CardError(FerError):
    """A model card is missing or malformed."""


class EngineError(FerError):
    """An engine cannot run a network here: it is not installed, or needs another device."""


class BackendError(FerError):
    """The backend that runs the models cannot be reached, is busy, or gives no answer that can be used."""


class ExplanationError(FerError):
    """A map cannot be made: the method is not installed, does not take an option, or gives nothing to look at."""


class UnknownNameError(FerError):
    """A model, expression, method or device was named that does not exist here."""

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        """Say which kind of name was unknown, list the known ones, and perhaps what else to do."""
        super().__init__(" ".join([f"Unknown {kind} {name!r}. Known: {', '.join(known)}.", advice]).rstrip())
