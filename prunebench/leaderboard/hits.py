"""Which test images the judged networks have right, from `details.jsonl`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prunebench.leaderboard.cells import Cell, Group

if TYPE_CHECKING:
    from numpy import float64, uint8
    from numpy.typing import NDArray

HITS_OF = "test/accuracy"
"""The metric that hits are of."""


def image_scores(
    group: Group, details: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, float], dict[int, NDArray[float64]]]:
    """For each cell and seed, the share of draws that have each test image right; shape (images,).

    A cell is absent if a run of it has no hits, or hits that do not give the value of its row.
    """
    import numpy as np

    recorded = {
        (line["entry"], line["seed"], line["round"], line["draw"]): line.get("hits")
        for line in details
        if line["kind"] == "evaluation" and (line["model"], line["data"]) == (group.model, group.data)
    }
    bits: dict[tuple[str, float], dict[int, list[NDArray[uint8]]]] = {}
    sizes: set[int] | None = None
    for (entry, density), cell in group.cells.items():
        found = _cell_bits(cell, entry, recorded)
        if found is None:
            continue
        of_cell = set.intersection(*(slots_of for runs in found.values() for _, slots_of in runs))
        sizes = of_cell if sizes is None else sizes & of_cell
        bits[entry, density] = {seed: [run for run, _ in runs] for seed, runs in found.items()}
    if not sizes:
        return {}
    # only where every network has every image wrong does more than one size fit
    images = max(sizes)
    return {
        at: {seed: np.mean([run[:images] for run in runs], axis=0) for seed, runs in seeds.items()}
        for at, seeds in bits.items()
    }


def _cell_bits(
    cell: Cell, entry: str, recorded: Mapping[tuple[str, int, int, int], Any]
) -> dict[int, list[tuple[NDArray[uint8], set[int]]]] | None:
    if not cell.runs:
        return None
    found = {}
    for seed, runs in cell.runs.items():
        read = [_bits(recorded.get((entry, seed, run.round, run.draw)), run.value) for run in runs]
        whole = [one for one in read if one is not None]
        if len(whole) < len(runs):
            return None
        found[seed] = whole
    return found


def _bits(text: object, value: float) -> tuple[NDArray[uint8], set[int]] | None:
    """The unpacked bits, and how many images they may be of: those numbers for which their mean is the value."""
    import numpy as np

    if not isinstance(text, str):
        return None
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    right = int(bits.sum())
    last = int(np.flatnonzero(bits)[-1]) + 1 if right else 0
    slots_of = {n for n in range(max(last, bits.size - 7, 1), bits.size + 1) if right / n == value}
    return (bits, slots_of) if slots_of else None
