"""The main tables for a terminal and for logs: no name and no number is ever cut.

Columns that do not fit beside one another follow in further tables with the same first column; where not even one fits
beside the longest name, each entry has a line of its own and its values stand below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from prunebench.api.board import AXES, Board, Entry, Group
from prunebench.api.report import NOTHING, display_width, gap_lines, level, nowhere_text, plain, value_text

_GAP = "  "


def terminal_tables(board: Board, width: int) -> str:
    """The numbers of the page's first tables as plain text.

    Args:
        width: columns of the terminal. A single word that is longer stands whole on a line of its own.
    """
    return "\n\n".join("\n".join(_group(group, board, width)) for group in board.groups) + "\n"


def _group(group: Group, board: Board, width: int) -> Iterator[str]:
    yield from _prose(
        f"{plain(group.model)} on {plain(group.data)}: {plain(group.metric.label)}, mean ± {level(board.alpha)} "
        f"interval over seeds, by {AXES[group.axis]}",
        width,
    )
    names = [plain(entry.name) + (" (unpruned)" if entry.dense else "") for entry in group.shown]
    ranks = [NOTHING if entry.rank is None else str(entry.rank) for entry in group.shown]
    first = _padded(["entry", *names], right=False)
    rank = _padded(["rank", *ranks], right=True)
    head = [f"{a}{_GAP}{b}" for a, b in zip(rank, first, strict=True)]
    columns = [
        _padded([column.label, *(_text(entry, column.place, group) for entry in group.shown)], right=True)
        for column in group.columns
    ]
    room = width - display_width(head[0])
    if any(display_width(column[0]) + len(_GAP) > room for column in columns) or room < 0:
        yield from _stacked(group, ranks, names, width)
    else:
        yield from _beside(head, columns, room - len(_GAP))
    for gap in gap_lines(group):
        yield from _prose(f"No value, {gap}.", width)
    if group.unplaced:
        yield from _prose(nowhere_text(group), width)


def _beside(head: Sequence[str], columns: Sequence[Sequence[str]], room: int) -> Iterator[str]:
    for number, chunk in enumerate(_chunks(columns, room) if columns else [[]]):
        if number:
            yield ""
        for place, line in enumerate(head):
            yield _GAP.join([line, *(column[place] for column in chunk)]).rstrip()


def _stacked(group: Group, ranks: Sequence[str], names: Sequence[str], width: int) -> Iterator[str]:
    labels = _padded(list(group.labels.values()), right=True)
    for entry, rank, name in zip(group.shown, ranks, names, strict=True):
        placed = "" if entry.rank is None else f"{_GAP}rank {rank}"
        yield from [name + placed] if display_width(name + placed) <= width else filter(None, [name, placed])
        for label, place in zip(labels, group.places, strict=True):
            if entry.at(place).trials and (place == 1.0 or not entry.dense):
                yield from _prose(_text(entry, place, group), width, f"{_GAP}{label}{_GAP}")


def _chunks(columns: Sequence[Sequence[str]], room: int) -> Iterator[list[Sequence[str]]]:
    """As many columns as fit beside one another, in order; each fits alone."""
    chunk: list[Sequence[str]] = []
    left = room
    for column in columns:
        wide = display_width(column[0]) + (len(_GAP) if chunk else 0)
        if chunk and wide > left:
            yield chunk
            chunk, left, wide = [], room, display_width(column[0])
        chunk.append(column)
        left -= wide
    if chunk:
        yield chunk


def _text(entry: Entry, place: float, group: Group) -> str:
    return value_text(entry.cells[place], group.metric, group.trials) if place in entry.cells else NOTHING


def _padded(cells: Sequence[str], right: bool) -> list[str]:
    wide = max(map(display_width, cells), default=0)
    pads = [" " * (wide - display_width(cell)) for cell in cells]
    return [pad + cell if right else cell + pad for cell, pad in zip(cells, pads, strict=True)]


def _prose(text: str, width: int, first: str = "") -> list[str]:
    """Lines that break between words only."""
    indent = " " * display_width(first)
    room = max(width, len(indent) + 1)
    return wrap(
        text,
        room,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
