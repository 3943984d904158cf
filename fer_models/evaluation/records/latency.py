"""How long models take: latency.json."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from fer_models.evaluation.records.base import Amount, Count, Provenance, Record, in_order


class ModelLatency(Record):
    """How long one model takes.

    Attributes:
        sha256: of its weights.
        p50_ms: median time of one face alone.
        p95_ms: 95 % of the times are below.
        throughput: faces per second in batches.
        peak_memory_mb: of a process that has only this model; None where it was not measured.
    """

    sha256: str
    p50_ms: Amount
    p95_ms: Amount
    throughput: Amount
    peak_memory_mb: Amount | None


class LatencyRecord(Provenance):
    """How long every model takes on one machine.

    Attributes:
        machine: in words.
        device: as PyTorch names it.
        threads: of the CPU.
        dtype: of the computation.
        batch: faces per batch for the throughput.
        repeats: measurements of one face alone.
        batches: measurements of a batch.
        memory_without_a_model_mb: peak memory of a process without a model.
        models: by name.
    """

    machine: str
    device: str
    threads: Count
    dtype: str
    batch: Count
    repeats: Count
    batches: Count = 0
    memory_without_a_model_mb: Amount | None = None
    models: Annotated[dict[str, ModelLatency], AfterValidator(in_order)]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items()}
