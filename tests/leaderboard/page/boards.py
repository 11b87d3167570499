"""Leaderboards with everything that the page shows, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.api.results import Results

from ..boards import PROVENANCE, row, typed

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><rect width="80" height="40"/></svg>'
ENTRIES = ("dense", "imp", "imp-late", "random")
DENSITIES = (0.512, 0.262144, 0.134217)
EXPECTATION = {
    "source": "Somebody 2020",
    "claim": "random beats imp",
    "better": "random",
    "worse": "imp",
    "metric": "test/accuracy",
    "density": 0.512,
    "published": {"better": 0.9, "worse": 0.8},
}


def evaluation(entry: str, seed: int, round_: int, value: float, points: int = 5, **changes: Any) -> dict[str, Any]:
    """A line of details.jsonl whose curve ends at a value."""
    curve = [
        {
            "iteration": 10 * i,
            "test/accuracy": value * (i + 1) / points,
            "test/loss": 2.0 / (i + 1),
            "train/accuracy": value,
            "train/loss": 1.0 / (i + 1),
        }
        for i in range(points)
    ]
    return {
        "kind": "evaluation",
        "entry": entry,
        "model": "lenet",
        "data": "mnist",
        "seed": seed,
        "round": round_,
        "draw": 0,
        "key": f"{entry}-{seed}-{round_}",
        "start": 0,
        "stop": 10 * (points - 1),
        "layers": [{"name": "fc1", "units": 1000, "kept": 1000 >> round_}, {"name": "fc2", "units": 10, "kept": 10}],
        "curve": curve,
        "hits": None,
        "artifacts": {"curve": "c" * 64, "mask": None, "weights": "w" * 64},
        **changes,
    }


def figures(entry: str, seed: int, svg: str = SVG, **changes: Any) -> dict[str, Any]:
    """A line of details.jsonl of an analysis with one figure."""
    return {
        "kind": "analysis",
        "entry": entry,
        "model": "lenet",
        "data": "mnist",
        "seed": seed,
        "analysis": "layers",
        "key": "a" * 64,
        "figures": [{"name": "bars", "caption": "Bars of layers.", "svg": svg}],
        **changes,
    }


def board(
    seeds: int = 3,
    entries: Sequence[str] = ENTRIES,
    densities: Sequence[float] = DENSITIES,
    points: int = 5,
    details: bool = True,
    **report: Any,
) -> Results:
    """A dense reference and pruned entries, the sparsest trial of the last entry's last seed collapsed."""
    rows, lines = [], []
    for seed in range(seeds):
        for place, entry in enumerate(entries):
            for round_, density in enumerate((1.0,) if place == 0 else densities, start=0 if place == 0 else 1):
                value = 0.95 + 0.001 * seed - 0.003 * place * round_ + 0.0002 * ((7 * seed + 3 * place + round_) % 5)
                collapsed = (place, seed, round_) == (len(entries) - 1, seeds - 1, len(densities))
                told = {"round": round_, "outcome": "collapsed" if collapsed else "ok"}
                rows.append(row(entry, seed, density, None if collapsed else value, **told))
                rows.append(row(entry, seed, density, None, metric="loss", unit="nats", **told))
                lines.append(evaluation(entry, seed, round_, value, points))
            if place == 1:
                lines.append(figures(entry, seed))
    return results_of(rows, lines if details else (), entries, **report)


def results_of(
    rows: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]], entries: Sequence[str], **report: Any
) -> Results:
    """Results with an ordinary report; `provenance` updates what is in it, the rest what it tells."""
    provenance = {**PROVENANCE, "entries": list(entries), **report.pop("provenance", {})}
    expectations = [EXPECTATION] if {"imp", "random"} <= set(entries) else []
    return typed(rows, lines, provenance, **{"notes": ["A subset of MNIST."], "expectations": expectations, **report})
