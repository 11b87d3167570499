"""Which test images the judged networks have right, from `details.jsonl`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from prunebench.api.board import Cell
from prunebench.api.details import Detail, EvaluationDetail
from prunebench.leaderboard.cells import EntryPlace

if TYPE_CHECKING:
    from numpy import float64, uint8
    from numpy.typing import NDArray

Scores: TypeAlias = "Mapping[EntryPlace, Mapping[int, NDArray[float64]]]"
"""For each cell and seed, the share of its draws that have each test image right; shape (images,)."""

_Recorded: TypeAlias = Mapping[tuple[str, int, int, int], str | None]


def image_scores(cells: Mapping[EntryPlace, Cell], details: Iterable[Detail], model: str, data: str) -> Scores:
    """The scores of one model and data.

    A cell is absent if a run of it has no record, or one that does not give the value of its row.
    """
    import numpy as np

    recorded = {
        (line.entry, line.seed, line.round, line.draw): line.correct
        for line in details
        if isinstance(line, EvaluationDetail) and (line.model, line.data) == (model, data)
    }
    bits: dict[EntryPlace, dict[int, list[NDArray[uint8]]]] = {}
    sizes: set[int] | None = None
    for (entry, place), cell in cells.items():
        found = _cell_bits(cell, entry, recorded)
        if found is None:
            continue
        of_cell = set.intersection(*(fitting for runs in found.values() for _, fitting in runs))
        sizes = of_cell if sizes is None else sizes & of_cell
        bits[entry, place] = {seed: [run for run, _ in runs] for seed, runs in found.items()}
    if not sizes:
        return {}
    # only where every network has every image wrong does more than one size fit
    images = max(sizes)
    return {
        where: {seed: np.mean([run[:images] for run in runs], axis=0) for seed, runs in seeds.items()}
        for where, seeds in bits.items()
    }


def _cell_bits(cell: Cell, entry: str, recorded: _Recorded) -> dict[int, list[tuple[NDArray[uint8], set[int]]]] | None:
    if not cell.values:
        return None
    found = {}
    for seed in cell.values:
        runs = cell.runs.get(seed, ())
        read = [_bits(recorded.get((entry, seed, run.round, run.draw)), run.value) for run in runs]
        whole = [one for one in read if one is not None]
        if not runs or len(whole) < len(runs):
            return None
        found[seed] = whole
    return found


def _bits(text: str | None, value: float) -> tuple[NDArray[uint8], set[int]] | None:
    """The unpacked bits, and how many images they may be of: those numbers for which their mean is the value."""
    import numpy as np

    if text is None:
        return None
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    right = int(bits.sum())
    last = int(np.flatnonzero(bits)[-1]) + 1 if right else 0
    fitting = {n for n in range(max(last, bits.size - 7, 1), bits.size + 1) if right / n == value}
    return (bits, fitting) if fitting else None
