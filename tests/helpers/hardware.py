"""A stand-in for a GPU that replays passes."""

from torch import Tensor

from fer_models.models.engines.recorded_engine import Pass


class FakeHardware:
    """Records as CUDA graphs do: a replay computes what is in the input's memory now, into the memory it had before.

    Attributes:
        replayed: faces of each replayed pass.
        refuses: passes for fewer faces than this cannot be recorded.
    """

    def __init__(self, refuses: int = 0) -> None:
        self.replayed: list[int] = []
        self.refuses = refuses

    def record(self, work: Pass) -> Pass:
        logits, maps = work()
        if len(logits) < self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        def replay() -> tuple[Tensor, Tensor]:
            for kept, new in zip((logits, maps), work(), strict=True):
                kept.copy_(new)
            self.replayed.append(len(logits))
            return logits, maps

        return replay

    def to_cpu(self, *tensors: Tensor) -> list[Tensor]:
        return [tensor.contiguous().clone() for tensor in tensors]
