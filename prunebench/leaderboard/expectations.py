"""Published results held against ours, judged on direction or equality; contradictions come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from prunebench.api.board import VERDICTS, Cell, Expectation, ExpectationSide, Judgement, Verdict, place_of
from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Paired
from prunebench.api.metric import Metric, metric_of
from prunebench.api.results import Results
from prunebench.leaderboard.reduced import is_reduced
from prunebench.leaderboard.sides import SideValues, base_of, expectation_of, measured, read_side
from prunebench.leaderboard.source import ModelData, Source
from prunebench.stats.equivalence import Equivalence, equivalence, equivalence_p, relative_equivalence
from prunebench.stats.ranking import seed_scores
from prunebench.stats.student import difference_within, paired

_OF_EQUALITY: Mapping[Equivalence, Verdict] = {
    "equal": "reproduced",
    "different": "contradicted",
    "undecided": "undecided",
}


def evaluate_expectations(results: Results, source: Source) -> list[Judgement]:
    """Every `[[expect]]` of a result's own file on every model and data, in the order of `VERDICTS`.

    Densities are places on the report's axis. An expectation of a metric that was not measured is undecided.
    """
    report, reduced = results.provenance.report, is_reduced(results.provenance)
    found = [
        judgement
        for stated in report.expectations
        for judgement in judge(expectation_of(stated, source.judged_by), source, report.alpha, reduced)
    ]
    return sorted(found, key=lambda judgement: VERDICTS.index(judgement.verdict))


def verdicts(results: Results) -> list[Judgement]:
    """The same, but an expectation must be of what was measured.

    Raises: PrunebenchError if one is of a metric that was not, naming it and the measured ones.
    """
    source = Source(results)
    known = measured(source)
    for stated in results.provenance.report.expectations:
        expectation = expectation_of(stated, source.judged_by)
        if _inapplicable(expectation, source).keys() >= source.rows.keys():
            continue  # of a method that applies nowhere nothing is measured
        for side in (expectation.better, expectation.worse):
            if isinstance(side, ExpectationSide) and base_of(side.metric, source.judged_by) not in known:
                raise PrunebenchError(
                    f'[[expect]] "{expectation.claim}": metric "{side.metric}" was not measured. '
                    f"Measured: {', '.join(known) or 'nothing'}."
                )
    return evaluate_expectations(results, source)


def judge(expectation: Expectation, source: Source, alpha: float, reduced: bool) -> list[Judgement]:
    """One expectation on every model and data."""
    better, worse = expectation.better, expectation.worse
    lacking = _inapplicable(expectation, source)
    ours: Mapping[ModelData, SideValues] = {}
    theirs: Mapping[ModelData, SideValues] = {}
    try:
        ours = read_side(better, source, alpha)
        theirs = read_side(worse, source, alpha) if isinstance(worse, ExpectationSide) else {}
    except PrunebenchError as error:
        if not lacking.keys() >= source.rows.keys():
            return [Judgement("undecided", expectation, None, metric_of(better.metric, ""), reason=str(error))]
    judgements = []
    for where in sorted({*ours, *lacking}):
        here = ours.get(where, SideValues({}, "any", metric_of(better.metric, "")))
        if where in lacking:
            compared = _Comparison(reason=lacking[where])
        elif isinstance(worse, ExpectationSide):
            other = theirs.get(where, SideValues({}, here.kind, here.metric))
            compared = _compare((better, here), (worse, other), alpha)
        else:
            compared = _compare((better, here), (better, _fixed(worse, here)), alpha)
        judgements.append(_judge(expectation, where, here.metric, compared, reduced, alpha))
    if not judgements:
        reason = f'no measurement of "{better.entry}"'
        judgements.append(Judgement("undecided", expectation, None, metric_of(better.metric, ""), reason=reason))
    return judgements


def _inapplicable(expectation: Expectation, source: Source) -> dict[ModelData, str]:
    """Where the method of a side does not apply to the network, and why: nothing there is for or against a claim."""
    names = [side.entry for side in (expectation.better, expectation.worse) if isinstance(side, ExpectationSide)]
    found: dict[ModelData, str] = {}
    for where, why in source.inapplicable.items():
        said = {name: next(iter(why[name].values())) for name in names if name in why}
        if said:
            found[where] = "; ".join(f'"{name}" does not apply to this network: {note}' for name, note in said.items())
    return found


@dataclass(frozen=True)
class _Comparison:
    pair: Paired | None = None
    means: tuple[float, float] | None = None
    over: int = 1
    rounds: bool = False
    broken: tuple[tuple[str, Cell], ...] = ()
    reason: str = ""
    interpolated: bool = False
    cut_off: tuple[str, ...] = ()
    seeds: tuple[Mapping[int, float], Mapping[int, float]] = ({}, {})


def _judge(
    expectation: Expectation,
    where: tuple[str, str],
    metric: Metric,
    compared: _Comparison,
    reduced: bool,
    alpha: float,
) -> Judgement:
    direction: Verdict = "undecided"
    why = "reduced recipe" if reduced or not expectation.judge else ""
    if "approximate" in metric.shown:
        why = "approximate measurement"
    ends = None if compared.pair is None else compared.pair.ends
    margin, share, p = expectation.equal_within, expectation.equal_within_share, None
    reason = compared.reason
    if margin is not None and compared.pair is not None:
        p = equivalence_p(compared.pair, margin)
        direction = _OF_EQUALITY[equivalence(compared.pair, margin, alpha)]
    elif share is not None and compared.pair is not None:
        try:
            found, p = relative_equivalence(*compared.seeds, share, alpha)
            direction = _OF_EQUALITY[found]
        except PrunebenchError as error:
            reason = str(error)
    elif ends is not None:
        low, high = ends if goes_up(expectation, metric) else (-ends[1], -ends[0])
        direction = "reproduced" if low > 0 else "contradicted" if high < 0 else "undecided"
    return Judgement(
        "not judged" if why else direction,
        expectation,
        where,
        metric,
        pair=compared.pair,
        means=compared.means,
        over=compared.over,
        kind="rounds" if compared.rounds else "densities",
        broken=compared.broken,
        reason=reason,
        why=why,
        direction=direction,
        interpolated=compared.interpolated,
        cut_off=compared.cut_off,
        p=p,
    )


def _fixed(number: float, like: SideValues) -> SideValues:
    """A number, as what every seed has everywhere."""
    seeds = {seed for cell in like.cells.values() for seed in cell.values}
    return SideValues({None: Cell(dict.fromkeys(sorted(seeds), number))}, "any", like.metric)


def _compare(
    one: tuple[ExpectationSide, SideValues], other: tuple[ExpectationSide, SideValues], alpha: float
) -> _Comparison:
    (better, ours), (worse, theirs) = one, other
    places = _places(one, other)
    if isinstance(places, str):
        return _Comparison(reason=places)
    tried = [[ours.cells[a] for a, _ in places], [theirs.cells[b] for _, b in places]]
    names = [better.entry, worse.entry]
    broken = tuple((name, cell) for name, cells in zip(names, tried, strict=True) for cell in cells if cell.broken)
    absent = dict.fromkeys(f'"{n}"' for n, cells in zip(names, tried, strict=True) if not all(c.values for c in cells))
    if absent:
        return _Comparison(broken=broken, reason=f"no ok trial of {' and '.join(absent)}")
    high, low = (seed_scores([cell.values for cell in cells]) for cells in tried)
    try:
        pair = difference_within(paired(high, low, alpha), ours.metric.low, ours.metric.high)
    except PrunebenchError as error:
        return _Comparison(broken=broken, reason=str(error))
    common = sorted(high.keys() & low.keys())
    means = mean(high[seed] for seed in common), mean(low[seed] for seed in common)
    between = any(cell.between for cells in tried for cell in cells)
    late = dict.fromkeys(n for n, cells in zip(names, tried, strict=True) if any(cell.cut_off for cell in cells))
    rounds = "round" in (ours.kind, theirs.kind)
    return _Comparison(pair, means, len(places), rounds, broken, "", between, tuple(late), (high, low))


def _places(
    one: tuple[ExpectationSide, SideValues], other: tuple[ExpectationSide, SideValues]
) -> Sequence[tuple[float | None, float | None]] | str:
    """Where the two sides meet, as pairs of their places; or why they do not."""
    (better, ours), (worse, theirs) = one, other
    for side, found in (one, other):
        if not found.cells:
            if side.density is not None and found.kind == "density":
                return "that density was not evaluated"
            if side.density is not None or side.round is not None or side.position is not None:
                return f'"{side.entry}" has no {side.label}'
    if ours.kind == "any" or theirs.kind == "any":
        # what holds everywhere meets every place of the other
        return [(a, b) for a in ours.cells for b in theirs.cells] or _nowhere(one, other)
    if ours.kind == theirs.kind and (better.density, better.round) == (worse.density, worse.round):
        return _shared(ours, theirs) or _nowhere(one, other)
    if len(ours.cells) == len(theirs.cells) == 1:
        return [(next(iter(ours.cells)), next(iter(theirs.cells)))]
    return "the two sides are at different places: state one density or round of each"


def _shared(ours: SideValues, theirs: SideValues) -> list[tuple[float | None, float | None]]:
    """The places that both have. Columns of the same density may differ by the rounding of what else is in them."""
    if ours.kind == "round":
        return [(place, place) for place in ours.cells if place in theirs.cells]
    known = [place for place in theirs.cells if place is not None]
    met = [(place, None if place is None else place_of(known, place)) for place in ours.cells]
    return [(a, b) for a, b in met if b is not None]


def _nowhere(one: tuple[ExpectationSide, SideValues], other: tuple[ExpectationSide, SideValues]) -> str:
    empty = [side for side, found in (one, other) if not found.cells]
    if empty and "any" in (one[1].kind, other[1].kind):
        names = dict.fromkeys(f'"{side.entry}"' for side in empty)
        return f"no measurement of {' and '.join(names)}"
    return f"they share no {'round' if one[1].kind == 'round' else 'density'}"


def goes_up(expectation: Expectation, metric: Metric) -> bool:
    """Which way is better: as the published numbers have it, else as the metric does."""
    if expectation.published is not None and expectation.published[0] != expectation.published[1]:
        return expectation.published[0] > expectation.published[1]
    if expectation.difference:
        return expectation.difference > 0
    if expectation.ratio not in (None, 1.0):
        return expectation.ratio > 1
    return metric.higher
