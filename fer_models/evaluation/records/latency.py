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


class EngineTimes(Record):
    """The same comparison on another engine, as of `WholeComparison`."""

    whole_ms: tuple[Amount, Amount]
    networks_ms: dict[int, Amount]


class WholeComparison(Record):
    """All models on one photo of one face, with detection and all evidence maps. Times are in ms.

    Attributes:
        usual_way_ms: median and 95th percentile of torchvision's networks at 224 px with the grad-cam library, one
            after the other, without detection.
        whole_ms: median and 95th percentile of the comparison here.
        detection_ms: median and 95th percentile of its first part.
        networks_ms: median of its second part, preprocessing and all networks, by number of faces.
        multiply_adds_per_second: of a large matrix product in the same process: float32 on a CPU, on a GPU in the
            networks' precision.
        bytes_per_second: read by a large sum in the same process, on the same device.
        arithmetic_floor_ms: the networks' multiply-adds for one face at that rate.
        memory_floor_ms: the time to read their weights once, in that precision.
        other_engines: timed in the same rounds, by name and precision.
    """

    usual_way_ms: tuple[Amount, Amount]
    whole_ms: tuple[Amount, Amount]
    detection_ms: tuple[Amount, Amount]
    networks_ms: dict[int, Amount]
    multiply_adds_per_second: Amount
    bytes_per_second: Amount
    arithmetic_floor_ms: Amount
    memory_floor_ms: Amount
    other_engines: dict[str, EngineTimes] = {}

    @property
    def floor_ms(self) -> float:
        """No computation of these networks in that precision on this machine takes less."""
        return max(self.arithmetic_floor_ms, self.memory_floor_ms)


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
        comparison: of all models together; files from before it was measured have none.
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
    comparison: WholeComparison | None = None

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return {name: model.sha256 for name, model in self.models.items()}
