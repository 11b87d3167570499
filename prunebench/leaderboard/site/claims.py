"""Published results over all boards: what was reproduced, contradicted, left open, with the evidence."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.board import VERDICTS, Judgement
from prunebench.leaderboard.judgements import counts_text, ours_text, published_text, sides_text, where_text
from prunebench.leaderboard.site.html import Content, badge, joined, page, paragraph, section, table
from prunebench.leaderboard.site.overview import board_link
from prunebench.leaderboard.site.source import SiteBoard

_KINDS = {"reproduced": "good", "contradicted": "bad"}


def claims_page(boards: Sequence[SiteBoard]) -> str:
    """`claims.html`."""
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
