"""The overview: every board with its verdicts, what leads at each density, and what was reduced."""

from __future__ import annotations

from collections.abc import Sequence

from prunebench.api.board import Board, Group
from prunebench.api.report import level, value_text
from prunebench.leaderboard.facts import how_many_seeds, notes_of
from prunebench.leaderboard.judgements import counts_text
from prunebench.leaderboard.site.html import Content, Html, badge, joined, link, page, paragraph, section, table
from prunebench.leaderboard.site.source import SiteBoard

ALL = "results"
"""The name of the files that have every row of every board."""


def overview_page(boards: Sequence[SiteBoard]) -> str:
    """`index.html`."""
    trials = sum(len({row.trial for row in one.results.rows}) for one in boards)
    lead = f"{len(boards)} leaderboards, {trials:,} trials. Every number is of a real run, with its seeds and hardware."
    return page(
        "Leaderboards",
        lead,
        section(
            "All boards",
            table(
                "A board is one benchmark file, as it was run. What is reduced judges no published claim.",
                ["board", "claim", "model and data", "published results", "seeds", "state"],
                [_row(one) for one in boards],
                filterable=True,
            ),
        ),
        *(_leaders(one) for one in boards),
        section(
            "All results",
            paragraph(
                "Every measurement of every board, one a line: ",
                link(f"{ALL}.parquet", "Parquet"),
                ", ",
                link(f"{ALL}.csv", "CSV"),
                ". The column board says which.",
            ),
        ),
        here="index.html",
    )


def board_link(one: SiteBoard, root: str = "") -> Html:
    """A link to the page of a board."""
    return link(f"{root}boards/{one.slug}/index.html", one.slug)


def _row(one: SiteBoard) -> list[Content]:
    board = one.board
    return [
        board_link(one),
        board.claim,
        "; ".join(f"{group.model} on {group.data}" for group in board.groups),
        counts_text(board.expectations) or "none",
        str(len(board.provenance.seeds)),
        state_of(one),
    ]


def state_of(one: SiteBoard) -> Html:
    """How far a board is to be trusted, in badges."""
    marks = [badge("reduced", "bad") if one.reduced else badge("full recipe", "good")]
    if one.board.provenance.missing_seeds:
        marks.append(badge(f"partial: {how_many_seeds(one.board.provenance)} seeds", "bad"))
    return joined([*marks, badge("self-reported")])


def _leaders(one: SiteBoard) -> str:
    parts = [paragraph(one.board.claim)]
    for group in one.board.groups:
        parts.append(_group(group, one.board))
    notes = notes_of(one.board)
    if notes:
        parts.append(paragraph(joined(notes)))
    files = [link(f"boards/{one.slug}/{name}", name) for name in ("results.csv", "results.parquet", "provenance.json")]
    parts.append(paragraph(board_link(one), " has curves, trials and tables. Files: ", joined(files, ", ")))
    return section(one.slug, *parts, anchor=one.slug)


def _group(group: Group, board: Board) -> str:
    """What leads at each place: all entries of the first rank, for nothing tells them apart."""
    first = [entry for entry in group.shown if entry.rank == 1]
    tested = [entry for entry in group.shown if not entry.dense]
    rows: list[list[Content]] = []
    for place in group.places:
        best = group.best(place)
        if place == 1.0 or best is None:
            continue
        cell = best.at(place)
        rows.append([group.labels[place], best.name, value_text(cell, group.metric, group.trials)])
    names = ", ".join(entry.name for entry in first)
    if not first:
        said = "no rank: nothing tells the entries apart, or there is one seed"
    elif len(first) == len(tested):
        said = f"all {len(first)} entries share rank 1: nothing tells them apart"
    else:
        said = f"rank 1 over all densities: {names}"
    caption = (
        f"{group.model} on {group.data}: the highest mean at each density ({group.metric.label}, "
        f"{level(board.alpha)} intervals); {said}"
    )
    if not group.metric.higher:
        caption = caption.replace("the highest mean", "the lowest mean")
    return table(caption, ["density", "entry", "value"], rows) if rows else paragraph(caption)
