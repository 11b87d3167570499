"""What boards say of published claims in words, for Markdown and for a site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from prunebench.api.board import ExpectationSide
from prunebench.api.report import difference_text, escape
from prunebench.leaderboard.claims import ClaimState, Evidence, Rate, Work, core_hours, gpu_hours

PAPERS = {
    "LTH": "Frankle & Carbin 2019",
    "FE": "find and evaluate, 2020",
    "WLT": "Maene et al. 2021",
    "PM": "a pruning mechanism, 2021",
}


def decided_by(state: ClaimState) -> Iterator[str]:
    """For each row of a claim, its file and what it compares."""
    for row in state.claim.rows:
        sides = f"{row.better} against {row.worse}" if row.worse else row.better
        yield f"{row.file}: {sides}, {row.metric}"


def evidence_text(evidence: Evidence) -> str:
    """One board's row: what is compared, the difference with its interval, how many seeds, and the verdict."""
    judgement = evidence.judgement
    verdict = f"{judgement.verdict} ({judgement.why})" if judgement.why else judgement.verdict
    return f"{_compared(evidence)}: {_difference(evidence)}; {verdict}"


def _compared(evidence: Evidence) -> str:
    better, worse = evidence.judgement.expectation.better, evidence.judgement.expectation.worse
    if not isinstance(worse, ExpectationSide):
        return f"{better.entry}, {better.label} above {worse:g}"
    if worse == replace(better, entry=worse.entry):
        return f"{better.entry} - {worse.entry}, {better.label}"
    other = "" if worse.entry == better.entry else f"{worse.entry}, "
    return f"{better.entry}, {better.label} - {other}{worse.label}"


def _difference(evidence: Evidence) -> str:
    pair, metric = evidence.judgement.pair, evidence.judgement.metric
    if pair is None:
        return evidence.judgement.reason or "not compared"
    unit = f" {metric.apart}" if metric.apart else ""
    margin = evidence.judgement.expectation.equal_within
    equal = "" if margin is None else f" (equal within {metric.signed(margin).lstrip('+')}?)"
    if margin is None and evidence.equal:
        equal = " (equal?)"
    other_way = ", the other way than published" if evidence.against else ""
    return f"{difference_text(pair, metric)}{unit}{equal}, n = {pair.n}{other_way}"


def work_text(work: Work, rate: Rate) -> str:
    """What a piece of work takes: runs, images, hours."""
    hours = f"{_hours(core_hours(work, rate))} core-hours"
    gpu = gpu_hours(work, rate)
    if gpu is not None:
        hours = f"{_hours(gpu)} GPU-hours, or about {hours}"
    besides = f", and {work.besides}" if work.besides else ""
    return f"{_images(work.images)} images in {work.runs:,} runs ({work.file}): {hours}{besides}"


def _images(count: int) -> str:
    return f"{count / 1e9:.1f} G" if count >= 1e9 else f"{count / 1e6:.0f} M"


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours < 10 else f"{hours:,.0f}"


def counted(states: Sequence[ClaimState]) -> str:
    """How many claims there are in each state, in a sentence."""
    kinds = dict.fromkeys(state.state for state in states)
    parts = [f"{sum(one.state == kind for one in states)} {kind}" for kind in kinds]
    return f"{len(states)} claims: {', '.join(parts)}."


def markdown(states: Sequence[ClaimState]) -> str:
    """A table of all claims, and below it what goes the other way, with how our recipe differs from the paper's."""
    lines = [
        counted(states) + " " + ", ".join(f"{short}: {paper}" for short, paper in PAPERS.items()) + ".",
        "",
        "| # | claim | published | decided by | state, and what boards have | to decide it (hours of one core) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in states:
        claim = one.claim
        boards = [f"{escape(evidence.board)}: {escape(evidence_text(evidence))}" for evidence in one.evidence]
        cells = [
            str(claim.number),
            f"{escape(claim.claim)} ({escape(claim.source)})",
            escape(claim.published),
            "<br>".join(f"`{text}`" for text in decided_by(one)),
            "<br>".join([f"**{one.state}**", *boards, *map(escape, claim.beside)]),
            "<br>".join(escape(work_text(work, rate)) for work, rate in one.work),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    other = [one for one in states if one.against or one.claim.beside]
    if other:
        lines += ["", "### What goes the other way, or may", ""]
    for one in other:
        lines += [f"**{one.claim.number}. {escape(one.claim.claim)}** ({escape(one.claim.source)}).", ""]
        lines += [f"- {escape(evidence.board)}: {escape(evidence_text(evidence))}." for evidence in one.against]
        lines += [f"- {escape(text)}." for text in one.claim.beside]
        if one.claim.differs:
            lines += ["", "Otherwise than in the paper, or not said there:", ""]
            lines += [f"- {escape(text)}." for text in one.claim.differs]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
