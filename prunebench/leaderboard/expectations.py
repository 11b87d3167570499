"""Published results held against ours, judged on direction; contradictions come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, Literal

from prunebench.api import results as typed
from prunebench.api.errors import PrunebenchError
from prunebench.leaderboard.axis import placed
from prunebench.leaderboard.cells import Cell
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import Metric, metric_of
from prunebench.leaderboard.sides import Found, Side, base_of, look, measured, sides
from prunebench.leaderboard.tables import difference_and_half, outcome_note
from prunebench.leaderboard.untyped import Results, Row, untyped
from prunebench.stats.student import Paired, paired

Verdict = Literal["contradicted", "undecided", "not judged", "reproduced"]
_ORDER: tuple[Verdict, ...] = ("contradicted", "undecided", "not judged", "reproduced")
_HARMLESS = ("execution.", "report.", "track")


@dataclass(frozen=True)
class Judgement:
    """One expectation on one model and data: the verdict and what it rests on.

    Args:
        where: "MODEL on DATA"; empty where nothing has the metric.
        ours: the comparison in words, or why there is none.
        pair: the paired difference, better minus worse; None where nothing could be compared.
        means: of better and of worse, over the seeds that both have.
        why: why it is not judged; empty otherwise.
    """

    verdict: Verdict
    expectation: Mapping[str, Any]
    where: str
    ours: str
    metric: Metric
    pair: Paired | None = None
    means: tuple[float, float] | None = None
    why: str = ""

    @property
    def published(self) -> tuple[float, float] | None:
        """The published values of better and worse, if the file has both."""
        stated = self.expectation.get("published") or {}
        return (float(stated["better"]), float(stated["worse"])) if {"better", "worse"} <= stated.keys() else None

    @property
    def compared(self) -> str:
        """What is held against what: entries, metric and place, and what of these differs."""
        better, worse = sides(self.expectation)
        if not isinstance(worse, Side):
            return f"{better.entry} against {worse:g}, {better.said}"
        if worse == replace(better, entry=worse.entry):
            return f"{better.entry} against {worse.entry}, {better.said}"
        return f"{better.entry}, {better.said}, against {worse.entry}, {worse.said}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        pair, means, published = self.pair, self.means or (None, None), self.published or (None, None)
        return {
            "verdict": self.verdict,
            "why": self.why,
            **{name: self.expectation.get(name) for name in ("claim", "source", "better", "worse", "density")},
            **{name: self.expectation.get(name) for name in ("round", "position", "than")},
            "metric": self.metric.name,
            "where": self.where,
            "published": {"better": published[0], "worse": published[1]},
            "ours": {"better": means[0], "worse": means[1]},
            "difference": None if pair is None else pair.difference,
            "low": None if pair is None else pair.low,
            "high": None if pair is None else pair.high,
            "n": 0 if pair is None else pair.n,
            "said": self.ours,
        }


def verdicts(recorded: typed.Results) -> list[Judgement]:
    """Every `[[expect]]` of a result's own file against its rows, contradictions first.

    Densities are places on the report's axis, as on its pages.

    Raises: PrunebenchError if one is of a metric that was not measured, naming it and the measured ones.
    """
    results = placed(untyped(recorded))
    told, known = results.provenance["report"], measured(results.rows)
    for expectation in told["expectations"]:
        for side in sides(expectation):
            if isinstance(side, Side) and base_of(side.metric) not in known:
                raise PrunebenchError(
                    f'[[expect]] "{expectation.get("claim", "")}": metric "{side.metric}" was not measured. '
                    f"Measured: {', '.join(known) or 'nothing'}."
                )
    return judged(results)


def judged(results: Results) -> list[Judgement]:
    """The same of rows that are placed, but pages are written also where a metric of an expectation was not measured.

    That expectation is undecided then.
    """
    provenance = results.provenance
    told = provenance["report"]
    return judge(told["expectations"], results.rows, provenance["entries"], told["alpha"], reduced(provenance))


def reduced(provenance: Mapping[str, Any]) -> bool:
    """Whether the recipe is not the file's full one, so that nothing published is judged."""
    settings = provenance.get("settings", ())
    return provenance.get("profile") is not None or any(not setting.startswith(_HARMLESS) for setting in settings)


def judge(
    expectations: Sequence[Mapping[str, Any]], rows: Sequence[Row], entries: Sequence[str], alpha: float, reduced: bool
) -> list[Judgement]:
    """Every expectation on every model and data: contradicted, undecided, not judged, reproduced, in this order."""
    judgements = []
    for expectation in expectations:
        better, worse = sides(expectation)
        try:
            found = look(better, rows, entries, alpha)
            against = look(worse, rows, entries, alpha) if isinstance(worse, Side) else {}
        except PrunebenchError as error:
            judgements.append(Judgement("undecided", expectation, "", str(error), metric_of(better.metric, "")))
            continue
        for (model, data), here in sorted(found.items(), key=lambda item: item[0]):
            if isinstance(worse, Side):
                other = (worse, against.get((model, data), Found({}, here.kind, here.metric)))
            else:
                other = (better, _fixed(worse, here))
            compared = _compare((better, here), other, alpha)
            judgements.append(_judge(expectation, f"{model} on {data}", here.metric, compared, reduced))
        if not found:
            said = f'no measurement of "{better.entry}"'
            judgements.append(Judgement("undecided", expectation, "", said, metric_of(better.metric, "")))
    return sorted(judgements, key=lambda judgement: _ORDER.index(judgement.verdict))


def contradictions(judgements: Sequence[Judgement]) -> str:
    """The section's text: a count, then one item each. Empty if there is nothing to judge."""
    if not judgements:
        return ""
    counts = ", ".join(
        f"{count} {verdict}" for verdict in _ORDER if (count := sum(j.verdict == verdict for j in judgements))
    )
    intro = (
        f"{len(judgements)} published {'result' if len(judgements) == 1 else 'results'} held against this run, judged "
        f"on direction: {counts}. A difference is better minus worse, paired by seed; it decides if its uncorrected "
        "interval excludes zero."
    )
    return "\n".join([intro, "", *(_item(judgement) for judgement in judgements)])


@dataclass(frozen=True)
class _Compared:
    said: str
    pair: Paired | None = None
    means: tuple[float, float] | None = None


def _judge(expectation: Mapping[str, Any], where: str, metric: Metric, compared: _Compared, reduced: bool) -> Judgement:
    pair = compared.pair
    verdict: Verdict = "undecided"
    why = "reduced recipe" if reduced or expectation.get("judge") is False else ""
    if "approximate" in metric.shown:
        why = "approximate measurement"
    if why:
        verdict = "not judged"
    elif pair is not None and pair.low is not None and pair.high is not None:
        low, high = (pair.low, pair.high) if _higher(expectation, metric) else (-pair.high, -pair.low)
        verdict = "reproduced" if low > 0 else "contradicted" if high < 0 else "undecided"
    return Judgement(verdict, expectation, where, compared.said, metric, pair, compared.means, why)


def _fixed(number: float, like: Found) -> Found:
    """A number, as what every seed has everywhere."""
    seeds = {seed for cell in like.cells.values() for seed in cell.values}
    return Found({1.0: Cell(dict.fromkeys(sorted(seeds), number))}, "any", like.metric)


def _compare(one: tuple[Side, Found], other: tuple[Side, Found], alpha: float) -> _Compared:
    (better, ours), (worse, theirs) = one, other
    places = _places((better, ours), (worse, theirs))
    if isinstance(places, str):
        return _Compared(places)
    tried = [[ours.cells[a] for a, _ in places], [theirs.cells[b] for _, b in places]]
    names = [better.entry, worse.entry]
    broken = [(name, cell) for name, cells in zip(names, tried, strict=True) for cell in cells if cell.broken]
    notes = dict.fromkeys(f"{name}: {outcome_note(cell)}" for name, cell in broken)
    ending = f" ({'; '.join(notes)})" if notes else ""
    absent = dict.fromkeys(f'"{n}"' for n, cells in zip(names, tried, strict=True) if not all(c.values for c in cells))
    if absent:
        return _Compared(f"no ok trial of {' and '.join(absent)}{ending}")
    high_scores, low_scores = (_scores(cells) for cells in tried)
    try:
        pair = paired(high_scores, low_scores, alpha)
    except PrunebenchError as error:
        return _Compared(f"{error}{ending}")
    common = sorted(high_scores.keys() & low_scores.keys())
    high, low = (mean(scores[seed] for seed in common) for scores in (high_scores, low_scores))
    metric = ours.metric
    lone = f", and {pair.why}" if pair.why else ""
    kind = "rounds" if "round" in (ours.kind, theirs.kind) else "densities"
    over = f", mean over {len(places)} {kind}" if len(places) > 1 else ""
    unit = f" {metric.apart}" if metric.apart else ""
    said = (
        f"{metric.number(high)} against {metric.number(low)}, difference {difference_and_half(pair, metric)}{unit}, "
        f"n = {pair.n}{over}{lone}{ending}"
    )
    return _Compared(said, pair, (high, low))


def _scores(cells: Sequence[Cell]) -> dict[int, float]:
    """Each seed's mean over places, for the seeds that have a value at all of them."""
    seeds = set.intersection(*(set(cell.values) for cell in cells))
    return {seed: mean(cell.values[seed] for cell in cells) for seed in sorted(seeds)}


def _places(one: tuple[Side, Found], other: tuple[Side, Found]) -> list[tuple[float, float]] | str:
    """Where the two sides meet, as pairs of their places; or why they do not."""
    (better, ours), (worse, theirs) = one, other
    for side, found in (one, other):
        if not found.cells:
            if side.density is not None and found.kind == "density":
                return "that density was not evaluated"
            if side.density is not None or side.round is not None or side.position is not None:
                return f'"{side.entry}" has no {side.said}'
    if ours.kind == "any" or theirs.kind == "any":
        # what holds everywhere meets every place of the other
        return [(a, b) for a in ours.cells for b in theirs.cells] or _nowhere(one, other)
    if ours.kind == theirs.kind and (better.density, better.round) == (worse.density, worse.round):
        return [(place, place) for place in ours.cells if place in theirs.cells] or _nowhere(one, other)
    if len(ours.cells) == len(theirs.cells) == 1:
        return [(next(iter(ours.cells)), next(iter(theirs.cells)))]
    return "the two sides are at different places: state one density or round of each"


def _nowhere(one: tuple[Side, Found], other: tuple[Side, Found]) -> str:
    empty = [side for side, found in (one, other) if not found.cells]
    if empty and "any" in (one[1].kind, other[1].kind):
        names = dict.fromkeys(f'"{side.entry}"' for side in empty)
        return f"no measurement of {' and '.join(names)}"
    return f"they share no {'round' if one[1].kind == 'round' else 'density'}"


def _higher(expectation: Mapping[str, Any], metric: Metric) -> bool:
    """Which way is better: as the published numbers have it, else as the metric's name does."""
    published = expectation.get("published") or {}
    if "better" in published and "worse" in published and published["better"] != published["worse"]:
        return bool(published["better"] > published["worse"])
    return metric.higher


def _item(judgement: Judgement) -> str:
    expectation, metric = judgement.expectation, judgement.metric
    claim = escape(expectation.get("claim", ""))
    verdict = f"{judgement.verdict} ({judgement.why})" if judgement.why else judgement.verdict
    lines = [f"- **{verdict}**: {claim} ({escape(expectation.get('source', 'no source'))})."]
    lines.append(f"  {escape(judgement.compared)}.")
    if judgement.published is not None:
        high, low = judgement.published
        lines.append(
            f"  Published: {metric.number(high)} against {metric.number(low)}, difference {metric.signed(high - low)}."
        )
    where = f", {escape(judgement.where)}" if judgement.where else ""
    lines.append(f"  Here{where}: {escape(judgement.ours)}.")
    return "\n".join(lines)
