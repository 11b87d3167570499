"""Verdicts on published results in words, for all pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prunebench.api.board import VERDICTS, ExpectationSide, Judgement
from prunebench.api.report import difference_text, escape, outcome_note


def counts_text(judgements: Sequence[Judgement]) -> str:
    """How many there are of each verdict, as in "1 contradicted, 2 reproduced"."""
    counted = [(verdict, sum(one.verdict == verdict for one in judgements)) for verdict in VERDICTS]
    return ", ".join(f"{count} {verdict}" for verdict, count in counted if count)


def verdict_text(judgements: Sequence[Judgement]) -> str:
    """What this run says of the file's claim, in a sentence or two: it stands beside the claim."""
    if not judgements:
        return "none; no published result is held against this run, so the table alone says whether the claim holds."
    judged = [one for one in judgements if one.verdict != "not judged"]
    parts = [f"{counts_text(judged)}, of {len(judged)} published results."] if judged else []
    rest = [one for one in judgements if one.verdict == "not judged"]
    if rest:
        reasons = ", ".join(dict.fromkeys(one.why for one in rest))
        went = [
            (sum(one.direction == "reproduced" for one in rest), "the published way"),
            (sum(one.direction == "contradicted" for one in rest), "the other way"),
            (sum(one.direction == "undecided" and one.pair is not None for one in rest), "clearly neither way"),
        ]
        told = [f"{count} {'goes' if count == 1 else 'go'} {words}" for count, words in went if count]
        missing = sum(one.pair is None for one in rest)
        told += [f"{missing} could not be compared"] if missing else []
        results = "result" if len(rest) == 1 else "results"
        parts.append(f"{len(rest)} published {results} not judged ({reasons}): {', '.join(told)}.")
    return " ".join(parts)


def where_text(judgement: Judgement) -> str:
    """The model and data; empty where nothing has the metric."""
    return "" if judgement.where is None else " on ".join(judgement.where)


def sides_text(judgement: Judgement) -> str:
    """What is held against what: entries, metric and place, and what of these differs."""
    better, worse = judgement.expectation.better, judgement.expectation.worse
    if not isinstance(worse, ExpectationSide):
        return f"{better.entry} against {worse:g}, {better.label}"
    if worse == replace(better, entry=worse.entry):
        return f"{better.entry} against {worse.entry}, {better.label}"
    return f"{better.entry}, {better.label}, against {worse.entry}, {worse.label}"


def published_text(judgement: Judgement) -> str:
    """The published numbers; empty where the file has none."""
    expectation, metric = judgement.expectation, judgement.metric
    unit = f" {metric.apart}" if metric.apart else ""
    if expectation.published is not None:
        high, low = expectation.published
        return f"{metric.number(high)} against {metric.number(low)}, difference {metric.signed(high - low)}"
    parts = []
    if expectation.difference is not None:
        parts.append(f"difference {metric.signed(expectation.difference)}{unit}")
    if expectation.ratio is not None:
        parts.append(f"{expectation.ratio:.3g} times the other")
    return ", ".join(parts)


def ours_text(judgement: Judgement) -> str:
    """The comparison of this run, or why there is none; and the trials there that are not ok."""
    notes = dict.fromkeys(f"{name}: {outcome_note(cell)}" for name, cell in judgement.broken)
    ending = f" ({'; '.join(notes)})" if notes else ""
    pair, means, metric = judgement.pair, judgement.means, judgement.metric
    if pair is None or means is None:
        return judgement.reason + ending
    unit = f" {metric.apart}" if metric.apart else ""
    over = f", mean over {judgement.over} {judgement.kind}" if judgement.over > 1 else ""
    over += ", some of these values interpolated between tickets" if judgement.interpolated else ""
    if judgement.cut_off:
        over += f"; some early stops of {' and '.join(judgement.cut_off)} are cut off at the horizon"
    lone = f", and {pair.why}" if pair.why else ""
    margin, share = judgement.expectation.equal_within, judgement.expectation.equal_within_share
    if share is not None:
        test = "" if judgement.p is None else f", p = {judgement.p:.2g} that they are not"
        lone += f"; equal within {100 * share:g} % of the latter?{test}"
    if margin is not None:
        test = "" if judgement.p is None else f", p = {judgement.p:.2g} that they are not"
        lone += f"; equal within {metric.signed(margin).lstrip('+')}{unit}?{test}"
    return (
        f"{metric.number(means[0])} against {metric.number(means[1])}, difference "
        f"{difference_text(pair, metric)}{unit}, n = {pair.n}{over}{lone}{ending}"
    )


def section(judgements: Sequence[Judgement]) -> str:
    """The section of a Markdown page: a count, then one item each. Empty if there is nothing to judge."""
    if not judgements:
        return ""
    intro = (
        f"{len(judgements)} published {'result' if len(judgements) == 1 else 'results'} held against this run, judged "
        f"on direction: {counts_text(judgements)}. A difference is better minus worse, paired by seed; it decides if "
        "its uncorrected interval excludes zero."
    )
    if any(one.expectation.is_equality for one in judgements):
        intro += (
            " An equality within a margin is reproduced if two one-sided tests reject that the difference is that "
            "large, and contradicted if its interval lies beyond the margin."
        )
    return "\n".join([intro, "", *map(_item, judgements)])


def _item(judgement: Judgement) -> str:
    expectation = judgement.expectation
    verdict = f"{judgement.verdict} ({judgement.why})" if judgement.why else judgement.verdict
    lines = [
        f"- **{verdict}**: {escape(expectation.claim)} ({escape(expectation.source)}).",
        f"  {escape(sides_text(judgement))}.",
    ]
    published = published_text(judgement)
    if published:
        lines.append(f"  Published: {published}.")
    where = where_text(judgement)
    lines.append(f"  Here{f', {escape(where)}' if where else ''}: {escape(ours_text(judgement))}.")
    return "\n".join(lines)
