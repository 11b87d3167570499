"""The exact selection kernel: of all units alive, keep the `count` that score highest.

The idea is Floyd and Rivest's (1975): a small sample gives two values that bracket the threshold; one pass keeps what
lies above the bracket and gathers what lies inside, and the rest is decided among the few gathered. A value that fills
the bracket, because so many units share it, is the threshold itself: it is guessed, checked by counting, and never
gathered, so heavy ties cost no memory. A sample that misleads costs time and nothing else: a wrong guess starts a
bisection, which always ends.

Scores are compared by integer keys of their own width and order. Among these -0.0 and 0.0 are one value, denormal
numbers stay apart whatever the processor flushes, and bf16 is no slower than the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_INTEGER = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
}
_RUN = 1 << 19
"""Units in a run on the CPU: its arrays stay in the cache from one operation to the next."""
_SAMPLE = 1 << 18
"""Units sampled at most; the bracket then holds less than 1 % of the units."""


def keep_highest(scores: Sequence[Tensor], alive: Sequence[Tensor] | None, count: int) -> tuple[Tensor, ...]:
    """Keep exactly `count` of the units alive: those that come first in a stable descending sort of the scores.

    Args:
        scores: for each layer a 1-D tensor of fp64, fp32, bf16 or fp16, on any device; higher survives. Infinities are
            allowed.
        alive: for each layer a 1-D bool tensor of the same size, on any device; None if every unit is alive.
        count: units to keep; 0 < count <= units alive.

    Returns: for each layer a 1-D bool tensor on the CPU: a subset of `alive`, with exactly `count` True in all. Where
        units score the same, those of the lowest flat index are kept, so the selections of two counts are nested.

    Raises: ValueError if a score is NaN, even a dead unit's (the layer's index is named), if `count` is out of range,
        or if scores and alive do not fit together.

    Beyond the masks it needs at most 5 % of the scores' memory, or a few megabytes where that is more.

    Source: Floyd and Rivest, "Expected time bounds for selection", CACM 1975.
    """
    _check(scores, alive)
    # numpy asks the system for huge pages; torch does not
    keep = tuple(torch.from_numpy(np.empty(score.numel(), dtype=np.bool_)) for score in scores)
    runs = list(_runs(scores, alive, keep))
    sample, living = _sample(runs) if runs else (np.empty(0, np.int16), 0)
    if not 0 < count <= living:
        raise ValueError(f"cannot keep {count:,} units: {living:,} are alive")
    low, high = _bracket(sample, count / living)
    del sample
    guess = low if low == high else _keep_by_bracket(runs, count, low, high)
    if guess is not None:
        _keep_by_guess(runs, count, guess)
    return keep


def keep_highest_above_floors(
    scores: Sequence[Tensor], alive: Sequence[Tensor], count: int, floors: Sequence[int]
) -> tuple[Tensor, ...]:
    """As keep_highest, but of each layer its `floor` highest are kept first (all alive, if fewer are).

    The rest of `count` goes to the highest of all the others. Without floors this is keep_highest; with them the
    selections of two counts are nested too.

    Raises: as keep_highest; ValueError as well if `count` is less than the floors need.
    """
    if not any(floors):
        return keep_highest(scores, alive, count)
    first = []
    for i, (score, living, floor) in enumerate(zip(scores, alive, floors, strict=True)):
        if first_nan((score,)) is not None:
            raise ValueError(f"layer {i}: a score is NaN")
        certain = min(floor, int(living.sum()))
        first.append(keep_highest((score,), (living,), certain)[0] if certain else torch.zeros_like(living).cpu())
    rest = count - sum(int(kept.sum()) for kept in first)
    if rest < 0:
        raise ValueError(f"cannot keep {count:,} units: the layers' floors need {count - rest:,}")
    if rest == 0:
        return tuple(first)
    others = keep_highest(scores, [living.cpu() & ~kept for living, kept in zip(alive, first, strict=True)], rest)
    return tuple(kept | more for kept, more in zip(first, others, strict=True))


def first_nan(scores: Sequence[Tensor]) -> int | None:
    """The index of the first layer with a NaN among its scores, or None."""
    return next((i for i, score in enumerate(scores) if score.numel() and _has_nan(score.detach())), None)


def _check(scores: Sequence[Tensor], alive: Sequence[Tensor] | None) -> None:
    for i, score in enumerate(scores):
        if score.ndim != 1 or score.dtype not in _INTEGER:
            raise ValueError(f"layer {i}: scores must be 1-D floats, not {score.dtype} of shape {tuple(score.shape)}")
    if alive is None:
        return
    if len(alive) != len(scores):
        raise ValueError(f"{len(scores)} layers have scores, {len(alive)} say which units are alive")
    for i, (score, living) in enumerate(zip(scores, alive, strict=True)):
        if living.dtype != torch.bool or living.shape != score.shape:
            raise ValueError(
                f"layer {i}: alive must be bool of shape {tuple(score.shape)}, "
                f"not {living.dtype} of shape {tuple(living.shape)}"
            )


@dataclass(frozen=True)
class _Run:
    """Consecutive units of one layer, so few that arrays of their number are cheap.

    Arrays are numpy's on the CPU, where one thread of it compares as fast as two of torch's, and torch's elsewhere.
    """

    layer: int
    score: Tensor
    alive: Tensor | None
    keep: NDArray[np.bool_]
    dtype: torch.dtype

    def keys(self, low: int, high: int) -> Any:
        """Integers in the order of the scores if they are between `low` and `high`; the rest are on their own side."""
        bits = _bits(self.score, self.dtype)
        if low >= 0:
            return bits  # a positive score's are its key, and a negative one's are negative
        return _mirrored(bits) if high < 0 else _keys(bits)

    def living(self, chosen: Any) -> Any:
        """`chosen`, a bool array that is overwritten, without the dead units."""
        if self.alive is not None:
            chosen &= _array(self.alive.to(self.score.device))
        return chosen

    def store(self, chosen: Any) -> int:
        """Keep what is chosen and alive; returns how many units that is."""
        self.keep[...] = _on_cpu(self.living(chosen))
        return _count(self.keep)

    def divide(self, low: int, high: int) -> tuple[int, NDArray[Any], NDArray[np.int32]]:
        """Keep what is alive from `high` on; returns how many that is, and what is between: its keys, its places."""
        keys = self.keys(low, high)
        highest = keys >= high
        between = keys > low
        between ^= highest
        above = self.store(highest)
        places = _where(self.living(between))
        return above, _on_cpu(keys[places]), _on_cpu(places).astype(np.int32)

    def sample(self, places: NDArray[np.int64]) -> Any:
        """The keys of the units at these places, those of dead units replaced by the least integer; on the CPU."""
        keys = _keys(_at(_bits(self.score, self.dtype), places))
        # a choice without branches: dropping the dead ones takes longer than all the rest
        return keys if self.alive is None else np.where(_at(_array(self.alive), places), keys, np.iinfo(keys.dtype).min)


def _runs(scores: Sequence[Tensor], alive: Sequence[Tensor] | None, keep: Sequence[Tensor]) -> Iterator[_Run]:
    dtype = reduce(torch.promote_types, [score.dtype for score in scores] or [torch.float32])
    units = sum(score.numel() for score in scores)
    for i, score in enumerate(scores):
        length = _RUN if score.device.type == "cpu" else max(_RUN, units >> 7)
        for start in range(0, score.numel(), length):
            part = slice(start, start + length)
            living = None if alive is None else alive[i][part]
            yield _Run(i, score.detach()[part], living, keep[i][part].numpy(), dtype)


def _array(tensor: Tensor) -> Any:
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


def _at(array: Any, places: NDArray[np.int64]) -> Any:
    return array[places] if isinstance(array, np.ndarray) else _on_cpu(array[torch.from_numpy(places).to(array.device)])


def _where(chosen: Any) -> Any:
    return np.flatnonzero(chosen) if isinstance(chosen, np.ndarray) else chosen.nonzero()[:, 0]


def _on_cpu(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def _count(chosen: Any) -> int:
    return int(np.count_nonzero(chosen) if isinstance(chosen, np.ndarray) else torch.count_nonzero(chosen))


def _bits(score: Tensor, dtype: torch.dtype) -> Any:
    return _array(score.to(dtype).view(_INTEGER[dtype]))


def _keys(bits: Any) -> Any:
    """Integers in the order of the floats with these bits: 0 for -0.0 and 0.0, -1 for none."""
    keys = bits >> (8 * bits.itemsize - 1)  # -1 where the sign is set
    keys &= _largest(bits)
    keys ^= bits
    keys += keys == -1  # -0.0
    return keys


def _mirrored(bits: Any) -> Any:
    """The keys of negative floats; the others, with -0.0, come after them in no order."""
    # a float is a sign and a magnitude, so among the negative ones larger bits are a lesser float
    return bits ^ _largest(bits)


def _largest(bits: Any) -> int:
    return int((1 << (8 * bits.itemsize - 1)) - 1)


def _has_nan(score: Tensor) -> bool:
    bits = _bits(score, score.dtype)
    if not isinstance(bits, np.ndarray):
        return bool(score.amax().isnan())  # a maximum is NaN if any of its values is
    # NaNs are the bits beyond an infinity's; as unsigned integers, those of negative floats come after all the others
    infinity = int(_bits(torch.tensor([math.inf], dtype=score.dtype), score.dtype)[0])
    largest = int(bits.view(f"u{bits.itemsize}").max())
    return largest > infinity - np.iinfo(bits.dtype).min or (largest > infinity and int(bits.max()) > infinity)


def _sample(runs: Sequence[_Run]) -> tuple[NDArray[Any], int]:
    """The sorted keys of a sample of the living units, and how many units are alive. Raises ValueError on NaN."""
    units = sum(run.keep.size for run in runs)
    step = units // max(1024, min(_SAMPLE, units >> 6)) or 1
    places = np.arange(0, max(run.keep.size for run in runs), step)
    # scattered, because even steps could be in step with the rows and channels that a layer is made of
    places += (places * 0x9E3779B1 >> 16) % step
    samples, living = [], 0
    for run in runs:
        # what reads a run in order goes first: it brings the run into the cache
        if _has_nan(run.score):
            raise ValueError(f"layer {run.layer}: a score is NaN")
        living += run.keep.size if run.alive is None else _count(_array(run.alive))
        samples.append(run.sample(places[: np.searchsorted(places, run.keep.size)]))
    sample = np.concatenate(samples)
    sample.sort()
    dead = sample.dtype.type(np.iinfo(sample.dtype).min)  # of its own type, or the search would copy the sample
    return sample[np.searchsorted(sample, dead, side="right") :], living


def _bracket(sample: NDArray[Any], density: float) -> tuple[int, int]:
    """Two keys with the threshold between them or on one of them, unless the sample misleads."""
    middle = sample.size * (1 - density)
    margin = 4 * math.sqrt(middle * density) + 2
    low, high = math.floor(middle - margin), math.ceil(middle + margin)
    limits = np.iinfo(sample.dtype)
    return int(sample[low] if low >= 0 else limits.min), int(sample[high] if high < sample.size else limits.max)


def _keep_by_bracket(runs: Sequence[_Run], count: int, low: int, high: int) -> int | None:
    """Fill `keep`, if the threshold is between `low` and `high`, neither included; if not, return a guess of it."""
    room = max(sum(run.keep.size for run in runs) >> 6, _RUN)
    above = 0
    keys: list[NDArray[Any]] = []
    places: list[NDArray[np.int32]] = []
    for run in runs:
        higher, of_run, at = run.divide(low, high)
        above += higher
        keys.append(of_run)
        places.append(at)
        room -= of_run.size
        if above >= count:
            return high
        if room < 0:
            return low
    gathered = np.concatenate(keys)
    needed = count - above
    if needed > gathered.size:
        return low
    gathered.partition(gathered.size - needed)
    threshold = gathered[gathered.size - needed]
    tied = needed - _count(gathered > threshold)
    for run, of_run, at in zip(runs, keys, places, strict=True):
        ties = at[of_run == threshold][:tied]
        run.keep[ties] = True
        run.keep[at[of_run > threshold]] = True
        tied -= ties.size
    return None


def _keep_by_guess(runs: Sequence[_Run], count: int, guess: int) -> None:
    """Fill `keep` by guessing the threshold: at once if the guess is right, else by bisection."""
    limits = torch.iinfo(_INTEGER[runs[0].dtype])
    low, high = limits.min, limits.max
    while True:
        above, tied = 0, []
        for run in runs:
            keys = run.keys(guess - 1, guess + 1)
            above += run.store(keys > guess)
            tied.append(_count(run.living(keys == guess)))
        if count <= above:
            low = guess + 1
        elif count > above + sum(tied):
            high = guess - 1
        else:
            break
        guess = (low + high) // 2
    needed = count - above
    for run, ties in zip(runs, tied, strict=True):
        if ties and needed:
            equal = _on_cpu(run.living(run.keys(guess - 1, guess + 1) == guess))
            if ties > needed:
                equal[np.flatnonzero(equal)[needed:]] = False
            run.keep[...] |= equal
            needed -= min(ties, needed)
