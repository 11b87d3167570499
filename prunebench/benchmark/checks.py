"""What a file asks of its measurements that no run will measure."""

from __future__ import annotations

from prunebench.api.errors import nearest
from prunebench.api.positions import Position
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.expectations import SMALLEST
from prunebench.benchmark.tables import Measure

_EARLY = ("early_stop_accuracy", "early_stop_iteration")


def unmeasured(metric: str, position: str | None, entry: Entry, measure: Measure) -> str:
    """Why an entry will have no such measurement; empty if it may have."""
    split, _, name = metric.partition("/")
    if metric == SMALLEST:
        split, name = "test", f"accuracy/{SMALLEST}"
    analyses = {use.name for use in entry.analyses}
    if split in analyses or name.partition("/")[0] in analyses:
        return ""
    if split not in ("train", "valid", "test"):
        known = f"; its analyses are {', '.join(sorted(analyses))}" if analyses else ""
        return f'"{metric}": entry "{entry.name}" does not analyse "{split}"{known}. Otherwise write SPLIT/METRIC'
    if split not in measure.splits:
        return f'"{metric}" is not measured; add "{split}" to measure.splits'
    name = name.removesuffix(f"/{SMALLEST}")
    if name.startswith("early_stop_") and (measure.every is None or "valid" not in measure.splits):
        return f'"{metric}" is not measured; it needs measure.every, and "valid" in measure.splits'
    if name not in ("accuracy", "loss", "early_stop_accuracy", "early_stop_iteration"):
        analysed = f'; entry "{entry.name}" does not analyse "{name.partition("/")[0]}"' if "/" in name else ""
        return f'"{metric}": no such metric{analysed}.{nearest(name, ("accuracy", "loss", *_EARLY))}'
    if name == "early_stop_iteration" and split != "valid":
        return f'"{metric}": it is of the validation loss; write valid/{name}'
    if name in _EARLY and position is not None:
        return f'"{metric}" has no position to choose: its own is where training would have stopped'
    return _unplaced(position, measure)


def _unplaced(position: str | None, measure: Measure) -> str:
    """Why no row of the results is at a position."""
    if position in (None, "end"):
        return ""
    at = "0it" if position == "start" else position
    if Position.parse(at).unit != "it":
        return f'position "{at}": the results have iterations; write it in them, as in "500it"'
    # epochs and shares become iterations only in the plan
    if Position.parse(at) in measure.at or any(p.unit != "it" and p.amount > 0 for p in measure.at):
        return ""
    return f'position "{position}" is not a row of the results; add "{at}" to measure.at'
