"""How much of a leaderboard was run again, and what may have been missed."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Literal, TypeAlias

Cell: TypeAlias = tuple[str, int]
"""(entry, seed)."""

Tier = Literal["re-executed", "re-executed by sample", "partly re-executed", "not re-executed"]


@dataclass(frozen=True)
class Coverage:
    """The pairs of entry and seed that were run again.

    Args:
        cells: these.
        known: all that the leaderboard has.
        drawn: whether the cells were drawn at random for this verification.
        numbers, of: rows that were compared, of all rows.
    """

    cells: frozenset[Cell] = frozenset()
    known: frozenset[Cell] = frozenset()
    drawn: bool = False
    numbers: int = 0
    of: int = 0

    @property
    def tier(self) -> Tier:
        """What may be said of it: everything, a random sample, or a part that somebody chose."""
        if not self.cells:
            return "not re-executed"
        if self.cells >= self.known:
            return "re-executed"
        return "re-executed by sample" if self.drawn else "partly re-executed"

    @property
    def missed_entry(self) -> float:
        """The chance that a sample has no cell of an entry that is forged in all of its seeds (the rarest entry)."""
        fewest = min((sum(entry == name for entry, _ in self.known) for name, _ in self.known), default=0)
        return chance_to_miss(fewest, len(self.cells), len(self.known))

    @property
    def missed_cell(self) -> float:
        """The chance that a sample misses the one cell that is forged."""
        return chance_to_miss(1, len(self.cells), len(self.known))

    @property
    def text(self) -> str:
        """The tier and what it rests on, in a sentence or two."""
        part = (
            f"{self.numbers:,} of {self.of:,} numbers, {len(self.cells)} of {len(self.known)} pairs of entry and seed"
        )
        if self.tier == "re-executed":
            return f"Re-executed: {part}."
        if self.tier == "not re-executed":
            return "Nothing was run again."
        named = ", ".join(f"{entry}:{seed}" for entry, seed in sorted(self.cells))
        if self.drawn:
            return (
                f"Re-executed by sample: {part}, drawn at random: {named}. An entry that is forged in every seed is "
                f"missed with a chance of {_percent(self.missed_entry)}, one that is forged in a single seed with "
                f"{_percent(self.missed_cell)}."
            )
        return f"Partly re-executed: {part}, chosen by hand: {named}. That says nothing of the others."

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "tier": self.tier,
            "cells": sorted([entry, seed] for entry, seed in self.cells),
            "of_cells": len(self.known),
            "numbers": self.numbers,
            "of_numbers": self.of,
            "drawn": self.drawn,
            "missed_entry": self.missed_entry if self.drawn else None,
            "missed_cell": self.missed_cell if self.drawn else None,
        }


def chance_to_miss(forged: int, drawn: int, known: int) -> float:
    """The chance that none of `forged` cells is among `drawn` of `known` ones, drawn without replacement."""
    return comb(known - forged, drawn) / comb(known, drawn) if known else 1.0


def draw(cells: Collection[Cell], count: int) -> frozenset[Cell]:
    """Cells from the operating system's randomness: nobody can know them before, and each call draws others."""
    ordered: Sequence[Cell] = sorted(cells)
    return frozenset(random.SystemRandom().sample(ordered, min(count, len(ordered))))


def _percent(chance: float) -> str:
    return f"{100 * chance:.2g} %"
