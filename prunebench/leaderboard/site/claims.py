"""Published results over all boards: what was reproduced, contradicted, left open, with the evidence."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.board import VERDICTS, Judgement
from prunebench.leaderboard.claim_texts import PAPERS, counted, decided_by, evidence_text, work_text
from prunebench.leaderboard.claims import CORE, ClaimState
from prunebench.leaderboard.judgements import counts_text, ours_text, published_text, sides_text, where_text
from prunebench.leaderboard.site.html import Content, badge, joined, page, paragraph, section, table
from prunebench.leaderboard.site.overview import board_link
from prunebench.leaderboard.site.source import SiteBoard

_KINDS = {"reproduced": "good", "contradicted": "bad"}


def claims_page(boards: Sequence[SiteBoard], states: Sequence[ClaimState] = ()) -> str:
    """`claims.html`.

    Args:
        states: a list of claims, decided or not, which come first; none where there is no list.
    """
    judged = [(one, judgement) for one in boards for judgement in one.board.expectations]
    sources = list(dict.fromkeys(judgement.expectation.source for _, judgement in judged))
    counted = counts_text([judgement for _, judgement in judged]) or "nothing"
    return page(
        "Published claims",
        f"Held against runs of this suite, on direction: {counted}.",
        section(
            "How to read this",
            paragraph(
                "A claim is judged where the run is whole: the recipe is the paper's as far as the paper states it. "
                "Of a reduced run the numbers are shown and no verdict follows. Reproduced: the interval of the "
                "difference excludes zero on the published side. Contradicted: on the other side."
            ),
        ),
        *([_listed(states)] if states else []),
        *([_other_way(states)] if any(one.against or one.claim.beside for one in states) else []),
        *(
            section(
                source or "No source",
                table(
                    "",
                    ["claim", "verdict", "compared", "published", "here", "board"],
                    [_row(one, judgement) for one, judgement in judged if judgement.expectation.source == source],
                    filterable=len(judged) > 12,
                ),
            )
            for source in sources
        ),
        here="claims.html",
    )


def _listed(states: Sequence[ClaimState]) -> str:
    """Every claim of the list: what decides it, what boards have, what it would take."""
    papers = ", ".join(f"{short}: {paper}" for short, paper in PAPERS.items())
    rows: list[Sequence[Content]] = []
    for one in states:
        state: list[Content] = [badge(one.state, _KINDS.get(one.state, ""))]
        state += [f"{evidence.board}: {evidence_text(evidence)}." for evidence in one.evidence]
        rows.append(
            [
                f"{one.claim.number}. {one.claim.claim} ({one.claim.source})",
                one.claim.published,
                "; ".join(decided_by(one)),
                joined(state),
                "; ".join(work_text(work, rate) for work, rate in one.work),
            ]
        )
    return section(
        "All claims, and what they would take",
        paragraph(f"{counted(states)} {papers}."),
        table(
            "",
            ["claim", "published", "decided by", "state", "to decide it (hours of one core)"],
            rows,
            filterable=True,
        ),
        paragraph(
            "Runs and images are those of the planner, over all seeds. Core-hours of LeNet are measured, on one of two "
            f"busy cores. All others are assumed: {CORE / 1e9:.0f} G multiply-accumulates a second of a core, a step "
            "taking three times the forward pass, and a number of images a second of a GPU."
        ),
    )


def _other_way(states: Sequence[ClaimState]) -> str:
    """What goes the other way than published, and how our recipe differs from the paper's."""
    parts = []
    for one in states:
        if one.against or one.claim.beside:
            parts.append(paragraph(f"{one.claim.number}. {one.claim.claim} ({one.claim.source})."))
            parts += [paragraph(f"{evidence.board}: {evidence_text(evidence)}.") for evidence in one.against]
            parts += [paragraph(f"{text}.") for text in one.claim.beside]
            if one.claim.differs:
                parts.append(
                    paragraph(f"Otherwise than in the paper, or not said there: {'; '.join(one.claim.differs)}.")
                )
    return section("What goes the other way, or may", *parts)


def _row(one: SiteBoard, judgement: Judgement) -> list[Content]:
    assert judgement.verdict in VERDICTS
    verdict: list[Content] = [badge(judgement.verdict, _KINDS.get(judgement.verdict, ""))]
    if judgement.why:
        verdict.append(judgement.why)
    where = where_text(judgement)
    return [
        judgement.expectation.claim,
        joined(verdict),
        sides_text(judgement) + (f" ({where})" if where else ""),
        published_text(judgement) or "no number",
        ours_text(judgement),
        board_link(one),
    ]
