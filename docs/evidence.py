"""Tables of evidence maps over the FER+ test set: faithfulness, flip consistency, facial regions."""

from typing import Final

from docs.markdown import percent, table
from docs.sources import attention, titles
from fer_models.evaluation.records import Distribution

_TESTS: Final = {"deletion": "Deletion", "insertion": "Insertion", "road": "ROAD", "arcc": "ARCC"}


def _gain(value: Distribution | None) -> str:
    """A mean gain with its interval; bold where it is significantly better."""
    if value is None or value.mean is None or value.interval is None:
        return "-"
    low, high = value.interval
    text = f"{value.mean:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 else text


def faithfulness() -> str:
    """How much better each model's maps are than uninformative baselines."""
    parts = []
    for key, baseline in (("gain_over_blob", "the centre prior"), ("gain_over_random", "random maps")):
        rows = []
        for name, model in attention().models.items():
            figures = model.faithfulness
            if figures is not None:
                tests = [getattr(figures, test) for test in _TESTS]
                rows.append([titles()[name], *(_gain((test or {}).get(key)) for test in tests)])
        parts.append(table([f"gain over {baseline}", *_TESTS.values()], rows))
    return "\n".join(parts)


def consistency() -> str:
    """How well each model's maps agree with those of the mirrored faces."""
    rows = []
    for name, model in attention().models.items():
        value = model.consistency.correlation
        low, high = value.interval or (float("nan"), float("nan"))
        rows.append([titles()[name], f"{value.mean:.2f} ({low:.2f} to {high:.2f})"])
    return table(["model", "flip consistency (95 % interval)"], rows)


def regions() -> str:
    """Where the evidence for happiness lies: mean shares by facial region."""
    rows = []
    for name, model in attention().models.items():
        shares = model.regions["happiness"].shares
        cells = [shares[region].mean for region in attention().areas]
        rows.append([titles()[name], *("-" if cell is None else percent(cell, 0) for cell in cells)])
    rows.append(["share of the picture", *(percent(area, 0) for area in attention().areas.values())])
    return table(["evidence for happiness", *attention().areas], rows)
