"""Which test images the judged networks have right, from `details.jsonl`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    recorded = {
        (line.entry, line.seed, line.round, line.draw): line.correct
        for line in details
        if isinstance(line, EvaluationDetail) and (line.model, line.data) == (model, data)
    }
    bits: dict[EntryPlace, dict[int, list[bytes]]] = {}
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
    return {where: _Packed(seeds, images) for where, seeds in bits.items()}


class _Packed(Mapping[int, "NDArray[float64]"]):
    """The scores of one cell by seed, as numbers only while they are looked at: these take 64 times as much memory."""

    def __init__(self, draws: Mapping[int, Sequence[bytes]], images: int) -> None:
        self._draws, self._images = draws, images

    def __getitem__(self, seed: int) -> NDArray[float64]:
        import numpy as np

        draws = [_unpacked(run)[: self._images] for run in self._draws[seed]]
        return draws[0].astype(np.float64) if len(draws) == 1 else np.mean(draws, axis=0)

    def __iter__(self) -> Iterator[int]:
        return iter(self._draws)

    def __len__(self) -> int:
        return len(self._draws)


def _cell_bits(cell: Cell, entry: str, recorded: _Recorded) -> dict[int, list[tuple[bytes, set[int]]]] | None:
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


def _bits(text: str | None, value: float) -> tuple[bytes, set[int]] | None:
    """The bits, eight in a byte, and how many images they may be of: as many as make their mean the value."""
    import numpy as np

    if text is None:
        return None
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    bits = _unpacked(packed)
    right = int(bits.sum())
    last = int(np.flatnonzero(bits)[-1]) + 1 if right else 0
    fitting = {n for n in range(max(last, bits.size - 7, 1), bits.size + 1) if right / n == value}
    return (packed, fitting) if fitting else None


def _unpacked(packed: bytes) -> NDArray[uint8]:
    import numpy as np

    return np.unpackbits(np.frombuffer(packed, np.uint8))
