"""The tables about time in docs/measurements.md: models, engines, the whole comparison, detection."""

from docs.markdown import percent, table
from docs.sources import TEST_SETS, record, titles
from fer_models.evaluation.records import EngineTimes, EvaluationRecord, LatencyRecord
from fer_models.evaluation.records.benchmarks import DetectionRecord


def latency() -> str:
    """Latency, throughput and memory of each model on one machine."""
    measured = record("latency.json", LatencyRecord)
    rows = []
    for name, model in measured.models.items():
        memory = "-" if model.peak_memory_mb is None else f"{model.peak_memory_mb:,.0f} MB"
        rows.append(
            [titles()[name], f"{model.p50_ms:.0f} ms", f"{model.p95_ms:.0f} ms", f"{model.throughput:.0f}", memory]
        )
    head = [
        "model",
        "one face, median",
        "one face, 95th percentile",
        f"faces per second in batches of {measured.batch}",
    ]
    settings = f"{measured.machine}, {measured.engine or measured.dtype}.\n\n"
    return settings + table([*head, "peak memory of its process"], rows)


def whole_comparison() -> str:
    """All models on one photo with detection and maps, against the usual way and the machine's floor."""
    whole = record("latency.json", LatencyRecord).comparison
    if whole is None:
        return "Not measured yet."
    rows = [
        ["the usual way, without detection", *_milliseconds(whole.usual_way_ms), ""],
        ["here, with detection", *_milliseconds(whole.whole_ms), f"{whole.usual_way_ms[0] / whole.whole_ms[0]:.1f}"],
        ["of that, detection", *_milliseconds(whole.detection_ms), ""],
    ]
    faces = ", ".join(f"{ms:.0f} ms for {count}" for count, ms in whole.networks_ms.items())
    return (
        table(["one photo of one face, four models and their maps", "median", "95th percentile", "times faster"], rows)
        + f"\n\nPreprocessing and networks by number of faces: {faces}. Floor for one face: {whole.floor_ms:.1f} ms "
        f"(all multiply-adds at the rate of a large matrix product: {whole.arithmetic_floor_ms:.1f} ms; all weights "
        f"read once: {whole.memory_floor_ms:.1f} ms); measured: {whole.networks_ms[1] / whole.floor_ms:.1f} times that."
    )


def engines() -> str:
    """The whole comparison on each engine, timed in the same rounds."""
    measured = record("latency.json", LatencyRecord)
    whole = measured.comparison
    if whole is None:
        return "Not measured yet."
    times = {measured.engine or "default": EngineTimes(whole_ms=whole.whole_ms, networks_ms=whole.networks_ms)}
    rows = [
        [
            name,
            f"{each.whole_ms[0]:.0f} ms",
            f"{whole.usual_way_ms[0] / each.whole_ms[0]:.1f}",
            f"{each.networks_ms[1]:.0f} ms",
            f"{each.networks_ms[16] / 16:.1f} ms",
            f"{16 * each.networks_ms[1] / each.networks_ms[16]:.1f}",
        ]
        for name, each in (times | whole.other_engines).items()
    ]
    head = ["engine", "whole comparison", "times as fast as the usual way", "networks, one face"]
    return table([*head, "per face in batches of 16", "batch against one by one"], rows)


def openvino() -> str:
    """Accuracy with OpenVINO beside that with onnxruntime, on the same faces."""
    parts = []
    for name, title in TEST_SETS.items():
        default, other = (record(f"{folder}{name}.json", EvaluationRecord) for folder in ("", "openvino/"))
        rows = [
            [
                titles()[model],
                percent(default.models[model].accuracy, 2),
                percent(measured.accuracy, 2),
                f"{100 * (measured.accuracy - default.models[model].accuracy):+.2f}",
            ]
            for model, measured in other.models.items()
        ]
        head = [title, default.engine or "float32", other.engine or "openvino", "percentage points"]
        parts.append(table(head, rows))
    return "\n".join(parts)


def detection() -> str:
    """Recall and time of face detection, beside a detector that searches every picture whole at the finest scale."""
    measured = record("detection.json", DetectionRecord)
    rows = [
        [
            scene,
            way,
            f"{figures.faces:,}",
            percent(figures.recall),
            f"{figures.false_positives}",
            f"{figures.landmark_error:.3f}",
            f"{figures.times_faster:.2f}",
        ]
        for scene, ways in measured.scenes.items()
        for way, figures in ways.items()
    ]
    head = ["pictures", "detector", "faces", "recall", "false positives", "landmark error"]
    return table([*head, "times faster"], rows, names=2)


def _milliseconds(times: tuple[float, float]) -> list[str]:
    return [f"{time:.0f} ms" for time in times]
