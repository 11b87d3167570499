"""The rounds that stated densities name, and the shares of a cost that rounds are cut to."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.cost_share import CostShare, Count
from prunebench.api.errors import PlanError
from prunebench.benchmark.densities import Density


def matched(densities: Sequence[Density], counts: Sequence[Count]) -> list[int]:
    """The rounds that densities name, to the precision that they are printed with.

    Raises:
        PlanError: densities that no round has, each with the nearest ones.
    """
    reached = densities_of(counts)
    rounds, missing = [], []
    for density in densities:
        fitting = [r for r, d in enumerate(reached) if round(d, density.decimals) == density.value]
        if not fitting:
            near = sorted(range(len(reached)), key=lambda r: abs(reached[r] - density.value))[:2]
            # Too few digits would show a density that is that of no round, or the one that was asked for.
            digits = max(3, density.decimals)
            nearest = " and ".join(f"{reached[r]:.{digits}f} (round {r})" for r in sorted(near))
            missing.append(f"no round has density {density}; the nearest are {nearest}")
            continue
        rounds.append(min(fitting, key=lambda r: abs(reached[r] - density.value)))
    if missing:
        raise PlanError("\n    ".join(missing))
    return sorted(set(rounds))


def densities_of(counts: Sequence[Count]) -> list[float]:
    """What each round leaves, as a share of what the first has: of the units, or of the cost that it is cut to."""
    units = counts[0]
    assert isinstance(units, int), "the dense network has all units"
    return [count.share if isinstance(count, CostShare) else count / units for count in counts]
