"""Published results held against ours, judged on direction; contradictions come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

from prunebench.errors import PrunebenchError
from prunebench.leaderboard.cells import Cell, Group, group_rows
from prunebench.leaderboard.markdown import escape
from prunebench.leaderboard.metrics import Metric, metric_of
from prunebench.leaderboard.rows import Row
from prunebench.leaderboard.statistics import Paired, paired
from prunebench.leaderboard.tables import difference_and_half, outcome_note

Verdict = Literal["contradicted", "undecided", "not judged (reduced recipe)", "reproduced"]
_ORDER: tuple[Verdict, ...] = ("contradicted", "undecided", "not judged (reduced recipe)", "reproduced")


@dataclass(frozen=True)
class Judgement:
    """One expectation on one model and data: the verdict and what it rests on, in words."""

    verdict: Verdict
    expectation: Mapping[str, Any]
    where: str
    ours: str
    metric: Metric


def judge(
    expectations: Sequence[Mapping[str, Any]], rows: Sequence[Row], entries: Sequence[str], alpha: float, reduced: bool
) -> list[Judgement]:
    """Every expectation against every group: contradicted, undecided, not judged, reproduced, in this order."""
    judgements = []
    for expectation in expectations:
        name = str(expectation.get("metric", "test/accuracy"))
        try:
            groups = group_rows(rows, name, entries)
        except PrunebenchError as error:
            nowhere = Judgement("undecided", expectation, "", str(error), metric_of(name, ""))
            judgements.append(nowhere)
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


def _judge(expectation: Mapping[str, Any], group: Group, metric: Metric, alpha: float, reduced: bool) -> Judgement:
    where = f"{group.model} on {group.data}"
    pair, ours = _compare(expectation, group, metric, alpha)
    verdict: Verdict = "undecided"
    if reduced or expectation.get("judge") is False:
        verdict = "not judged (reduced recipe)"
    elif pair is not None and pair.low is not None and pair.high is not None:
        low, high = (pair.low, pair.high) if _higher(expectation, metric) else (-pair.high, -pair.low)
        verdict = "reproduced" if low > 0 else "contradicted" if high < 0 else "undecided"
    return Judgement(verdict, expectation, where, ours, metric)


def _compare(expectation: Mapping[str, Any], group: Group, metric: Metric, alpha: float) -> tuple[Paired | None, str]:
    names, stated = (str(expectation["better"]), str(expectation["worse"])), expectation.get("density")
    densities = _densities(group, names, stated)
    if not densities:
        return None, "that density was not evaluated" if stated is not None else "they share no density"
    tried = {name: [group.at(name, density) for density in densities] for name in names}
    absent = [f'"{name}"' for name, cells in tried.items() if not all(cell.values for cell in cells)]
    notes = [f"{name}: {outcome_note(cell)}" for name, cells in tried.items() for cell in cells if cell.broken]
    ending = f" ({'; '.join(notes)})" if notes else ""
    if absent:
        return None, f"no ok trial of {' and '.join(absent)}{ending}"
    better, worse = (_by_seed(tried[name]) for name in names)
    try:
        pair = paired(better, worse, alpha)
    except PrunebenchError as error:
        return None, f"{error}{ending}"
    lone = ", and one seed gives no interval" if pair.n == 1 else ""
    over = f", mean over {len(densities)} densities" if len(densities) > 1 else ""
    unit = f" {metric.apart}" if metric.apart else ""
    return pair, f"{difference_and_half(pair, metric)}{unit}, n = {pair.n}{over}{lone}{ending}"


def _densities(group: Group, names: tuple[str, str], stated: float | None) -> list[float]:
    """Where two entries are compared: at the density stated, else at all densities below 1 that both were tried at."""
    if group.dense.issuperset(names):
        return [1.0]
    if stated is None:
        return [d for d in group.densities if d < 1 and all(group.at(name, d).trials for name in names)]
    column = group.column(float(stated))
    return [] if column is None else [column]


def _by_seed(cells: Sequence[Cell]) -> dict[int, float]:
    """Each seed's mean over the cells, for the seeds that have a value in all of them."""
    seeds = set.intersection(*(set(cell.values) for cell in cells))
    return {seed: mean(cell.values[seed] for cell in cells) for seed in sorted(seeds)}


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
    lines = [f"- **{judgement.verdict}**: {claim} ({escape(expectation.get('source', 'no source'))})."]
    better, worse = escape(expectation["better"]), escape(expectation["worse"])
    lines.append(f"  {better} against {worse}, {escape(metric.name)}{at}.")
    published = expectation.get("published") or {}
    if "better" in published and "worse" in published:
        high, low = float(published["better"]), float(published["worse"])
        lines.append(
            f"  Published: {metric.number(high)} against {metric.number(low)}, difference {metric.signed(high - low)}."
        )
    where = f", {escape(judgement.where)}" if judgement.where else ""
    lines.append(f"  Here{where}: {escape(judgement.ours)}.")
    return "\n".join(lines)
