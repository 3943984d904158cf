"""Records of what the commands in benchmarks/ measured: one class per kind of file in weights/results/."""

from collections.abc import Mapping

from pydantic import Field

from fer_models.evaluation.records.base import Amount, Count, Provenance, Record, Share


class Seconds(Record):
    """Times of each round, in seconds."""

    one_by_one: tuple[Amount, ...]
    batch: tuple[Amount, ...]


class Speedup(Record):
    """How many times as fast a batch is as one picture after the other."""

    median: Amount
    rounds: tuple[Amount, ...]


class BatchRecord(Provenance):
    """`python -m benchmarks.batch`: a batch against one picture after the other, in one run."""

    pictures: Count
    faces: Count
    batch: Count
    models: tuple[str, ...]
    torch_threads: Count
    seconds: Seconds
    times_faster: Speedup


class ClipTime(Record):
    """How long one clip took."""

    minutes: Amount
    seconds: Amount
    peak_mb: Amount


class VideoRecord(Provenance):
    """`python -m benchmarks.video`: time and memory by a clip's length; rate in analysed frames per second of video."""

    rate: Amount
    clips: tuple[ClipTime, ...]


class CommandTime(Record):
    """A process that ends by itself: seconds until then, and its processor time."""

    seconds: Amount
    cpu_s: Amount


class AppStart(Record):
    """The app: until /healthz answers, from then until /compare has, and the processor time of the whole run."""

    ready_s: Amount
    answer_s: Amount
    cpu_s: Amount


class FirstVisit(Record):
    """The page in a browser that never saw it: its first paint; from a click on an example to the verdict and chart."""

    paint_s: Amount
    verdict_s: Amount
    chart_s: Amount


class StartRecord(Provenance):
    """`python -m benchmarks.start`: medians of fresh processes; without a browser, no visit."""

    cores: Count
    rounds: Count
    commands: dict[str, CommandTime]
    app: AppStart
    visit: FirstVisit | None


class Journey(Record):
    """A visit to the page: what is done, and what it takes of a visitor.

    Attributes:
        what: in words.
        width_px: of the page.
        files: that are chosen.
        clicks: or taps.
        seconds: from the first of them until the last result is shown, by a visitor who never hesitates.
    """

    what: str
    width_px: Count
    files: Count
    clicks: Count
    seconds: Amount


class JourneysRecord(Provenance):
    """`python -m benchmarks.journeys`: medians by kind of visitor."""

    cores: Count
    rounds: Count
    journeys: dict[str, Journey]


class Sharpness(Record):
    """Percentiles of a measure of sharpness."""

    p5: float
    median: float
    p95: float


class CropResolutionRecord(Provenance):
    """`python -m benchmarks.crop_resolution`: accuracy by the size that crops are averaged down to."""

    training_sharpness: Sharpness
    example_sharpness: dict[str, float]
    sha256: dict[str, str]
    validation_faces: dict[str, Count]
    accuracy: dict[str, dict[str, Share]]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return self.sha256


class Spread(Record):
    """How far landmarks lie from the template, as fractions of the crop's side."""

    what: str
    as_they_are: dict[str, float] = Field(alias="as the files are")
    aligned: dict[str, float] = Field(alias="after alignment")


class LandmarkTemplateRecord(Provenance):
    """`python -m benchmarks.landmark_template`: where training faces have their landmarks."""

    split: str
    faces: Count
    found: dict[str, Share]
    template: dict[str, tuple[float, float]]
    spread: Spread
    alignment: dict[str, str | tuple[float, float, float]]
    bias: float = Field(alias="detector bias in x")


class QualityCurve(Record):
    """One measure of a face and the models' accuracy, as faces get worse.

    Attributes:
        kind: of corruption.
        measure: its median on clean faces, then at each strength.
        accuracy: the mean of the models', alike.
        limit: the measure at which the accuracy has fallen by `FaceQualityRecord.loss`.
    """

    kind: str
    measure: tuple[Amount, ...]
    accuracy: tuple[Share, ...]
    limit: Amount


class FaceQualityRecord(Provenance):
    """`python -m benchmarks.face_quality`: where a face becomes too poor to be read."""

    faces: Count
    loss: Share
    curves: dict[str, QualityCurve]
    sha256: dict[str, str]

    @property
    def measured_weights(self) -> Mapping[str, str]:
        """As `Provenance.measured_weights`."""
        return self.sha256


class FuzzTarget(Record):
    """One decoder: how many inputs it got, and the first unexpected error, if any."""

    inputs: Count
    failure: str | None


class FuzzRecord(Provenance):
    """`python -m benchmarks.fuzz`: damaged files on whatever decodes uploads."""

    seconds: Count
    atheris: str
    targets: dict[str, FuzzTarget]


class Delay(Record):
    """Delays of one viewer in ms."""

    median: Amount
    max: Amount


class ServerMemory(Record):
    """Resident memory of the server in MB; None where it was not measured."""

    start: Amount | None
    after_warm_up: Amount | None
    end: Amount | None


class LiveRecord(Provenance):
    """`python -m benchmarks.live_soak`: viewers with a fake camera.

    Attributes:
        processor_ms: processor time per frame that was shown, of the server and of the browser's processes.
    """

    viewers: Count
    minutes: Amount
    picture: str
    frames_per_second: tuple[Amount, ...]
    delay_ms: tuple[Delay, ...]
    longest_gap_ms: tuple[Amount, ...]
    stages_ms: dict[str, Amount]
    processor_ms: dict[str, Amount] = {}
    server_rss_mb: ServerMemory


class LoadMemory(Record):
    """Resident memory of the server in MB; None where it was not measured."""

    start: Amount | None
    warm: Amount | None
    on_the_way: tuple[Amount | None, ...]
    end: Amount | None


class ProcessorTime(Record):
    """Seconds of processor time: of the server, of the clients on the same machine, of everything else on it."""

    server: Amount
    clients: Amount
    others: Amount


class LoadRecord(Provenance):
    """`python -m benchmarks.load`: clients on /compare; None where nothing was measured. Growth is a share."""

    cores: Count
    version: str | None = None
    models: tuple[str, ...]
    clients: Count
    seconds: Amount
    requests: Count
    requests_a_second: Amount
    queue_full: Count
    errors: dict[str, Count]
    p50_s: Amount | None
    p95_s: Amount | None
    rss_mb: LoadMemory
    growth: float | None
    processor_s: ProcessorTime | None = None
    live: LiveRecord | dict[str, str] | None


class DetectionFigures(Record):
    """What one way of detecting found.

    Attributes:
        faces: that were there.
        recall: share of them found, with an intersection over union of 0.5.
        false_positives: found where none was.
        landmark_error: mean distance of the found ones' landmarks, in distances of the eyes.
        times_faster: than the reference, in CPU time.
    """

    faces: Count
    recall: Share
    false_positives: Count
    landmark_error: Amount
    times_faster: Amount


class DetectionRecord(Provenance):
    """`python -m benchmarks.detection`: by kind of picture, "reference", "cascade" and "following" (clips only)."""

    heads: Count
    scenes: dict[str, dict[str, DetectionFigures]]
