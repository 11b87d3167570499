"""Published results held against ours, judged on direction; contradictions come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

from prunebench.errors import PrunebenchError
from prunebench.leaderboard.cells import Group, group_rows
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import Metric, metric_of
from prunebench.leaderboard.ranking import seed_scores
from prunebench.leaderboard.rows import Row
from prunebench.leaderboard.statistics import Paired, paired
from prunebench.leaderboard.tables import difference_and_half, outcome_note
from prunebench.types import Results

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

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        pair, means, published = self.pair, self.means or (None, None), self.published or (None, None)
        return {
            "verdict": self.verdict,
            "why": self.why,
            **{name: self.expectation.get(name) for name in ("claim", "source", "better", "worse", "density")},
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


def verdicts(results: Results) -> list[Judgement]:
    """Every `[[expect]]` of a result's own file against its rows, contradictions first.

    Raises: PrunebenchError if one is of a metric that was not measured, naming it and the measured ones.
    """
    told, rows = results.provenance["report"], results.rows
    measured = sorted({f"{row['split']}/{row['metric']}" for row in rows if row["role"] == "evaluate"})
    for expectation in told["expectations"]:
        if _metric(expectation) not in measured:
            raise PrunebenchError(
                f'[[expect]] "{expectation.get("claim", "")}": metric "{_metric(expectation)}" was not measured. '
                f"Measured: {', '.join(measured) or 'nothing'}."
            )
    return judged(results)


def judged(results: Results) -> list[Judgement]:
    """The same, but a metric that was not measured leaves its expectation undecided: pages are written all the same."""
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
    """Every expectation against every group: contradicted, undecided, not judged, reproduced, in this order."""
    judgements = []
    for expectation in expectations:
        name = _metric(expectation)
        try:
            groups = group_rows(rows, name, entries)
        except PrunebenchError as error:
            judgements.append(Judgement("undecided", expectation, "", str(error), metric_of(name, "")))
            continue
        judgements += [_judge(expectation, group, metric_of(name, group.unit), alpha, reduced) for group in groups]
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


def _metric(expectation: Mapping[str, Any]) -> str:
    return str(expectation.get("metric", "test/accuracy"))


def _judge(expectation: Mapping[str, Any], group: Group, metric: Metric, alpha: float, reduced: bool) -> Judgement:
    compared = _compare(expectation, group, metric, alpha)
    pair = compared.pair
    verdict: Verdict = "undecided"
    why = "reduced recipe" if reduced or expectation.get("judge") is False else ""
    if why:
        verdict = "not judged"
    elif pair is not None and pair.low is not None and pair.high is not None:
        low, high = (pair.low, pair.high) if _higher(expectation, metric) else (-pair.high, -pair.low)
        verdict = "reproduced" if low > 0 else "contradicted" if high < 0 else "undecided"
    where = f"{group.model} on {group.data}"
    return Judgement(verdict, expectation, where, compared.said, metric, pair, compared.means, why)


@dataclass(frozen=True)
class _Compared:
    said: str
    pair: Paired | None = None
    means: tuple[float, float] | None = None


def _compare(expectation: Mapping[str, Any], group: Group, metric: Metric, alpha: float) -> _Compared:
    names, stated = (str(expectation["better"]), str(expectation["worse"])), expectation.get("density")
    densities = _densities(group, names, stated)
    if not densities:
        return _Compared("that density was not evaluated" if stated is not None else "they share no density")
    tried = {name: [group.at(name, density) for density in densities] for name in names}
    absent = [f'"{name}"' for name, cells in tried.items() if not all(cell.values for cell in cells)]
    notes = [f"{name}: {outcome_note(cell)}" for name, cells in tried.items() for cell in cells if cell.broken]
    ending = f" ({'; '.join(notes)})" if notes else ""
    if absent:
        return _Compared(f"no ok trial of {' and '.join(absent)}{ending}")
    better, worse = (seed_scores(group, name, densities) for name in names)
    try:
        pair = paired(better, worse, alpha)
    except PrunebenchError as error:
        return _Compared(f"{error}{ending}")
    high, low = (mean(one[seed] for seed in sorted(better.keys() & worse.keys())) for one in (better, worse))
    lone = f", and {pair.why}" if pair.why else ""
    over = f", mean over {len(densities)} densities" if len(densities) > 1 else ""
    unit = f" {metric.apart}" if metric.apart else ""
    said = (
        f"{metric.number(high)} against {metric.number(low)}, difference {difference_and_half(pair, metric)}{unit}, "
        f"n = {pair.n}{over}{lone}{ending}"
    )
    return _Compared(said, pair, (high, low))


def _densities(group: Group, names: tuple[str, str], stated: float | None) -> list[float]:
    """Where two entries are compared: at the density stated, else at all densities below 1 that both were tried at."""
    if group.dense.issuperset(names):
        return [1.0]
    if stated is None:
        return [d for d in group.densities if d < 1 and all(group.at(name, d).trials for name in names)]
    column = group.column(float(stated))
    return [] if column is None else [column]


def _higher(expectation: Mapping[str, Any], metric: Metric) -> bool:
    """Which way is better: as the published numbers have it, else as the metric's name does."""
    published = expectation.get("published") or {}
    if "better" in published and "worse" in published and published["better"] != published["worse"]:
        return bool(published["better"] > published["worse"])
    return metric.higher


def _item(judgement: Judgement) -> str:
    expectation, metric = judgement.expectation, judgement.metric
    density = expectation.get("density")
    at = "" if density is None else f" at density {100 * float(density):.3g} %"
    claim = escape(expectation.get("claim", ""))
    verdict = f"{judgement.verdict} ({judgement.why})" if judgement.why else judgement.verdict
    lines = [f"- **{verdict}**: {claim} ({escape(expectation.get('source', 'no source'))})."]
    better, worse = escape(expectation["better"]), escape(expectation["worse"])
    lines.append(f"  {better} against {worse}, {escape(metric.name)}{at}.")
    if judgement.published is not None:
        high, low = judgement.published
        lines.append(
            f"  Published: {metric.number(high)} against {metric.number(low)}, difference {metric.signed(high - low)}."
        )
    where = f", {escape(judgement.where)}" if judgement.where else ""
    lines.append(f"  Here{where}: {escape(judgement.ours)}.")
    return "\n".join(lines)
