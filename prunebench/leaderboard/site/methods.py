"""A page for each component: on which boards it took part, in which entries, and how these fared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from prunebench.api.board import Entry, Group
from prunebench.api.report import value_text
from prunebench.leaderboard.site.html import Content, joined, link, page, paragraph, section, table
from prunebench.leaderboard.site.overview import board_link, state_of
from prunebench.leaderboard.site.source import SiteBoard


def method_pages(boards: Sequence[SiteBoard]) -> Mapping[str, str]:
    """The pages by file name: `methods.html`, and one below `methods/` for each component."""
    names = sorted({name for one in boards for name in one.board.provenance.components})
    files = {name: f"methods/{slug(name)}.html" for name in names}
    pages = {"methods.html": _index(boards, files)}
    return pages | {file: _method(name, boards) for name, file in files.items()}


def slug(name: str) -> str:
    """A component's name as the name of a file."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _index(boards: Sequence[SiteBoard], files: Mapping[str, str]) -> str:
    rows: list[list[Content]] = []
    for name, file in files.items():
        on = [one for one in boards if name in one.board.provenance.components]
        paper = next((one.board.provenance.components[name].paper for one in on), "")
        rows.append([link(file, name), paper or "no paper", joined([board_link(one) for one in on], ", ")])
    return page(
        "Methods",
        f"{len(files)} components took part in these leaderboards.",
        section("Components", table("", ["component", "paper", "boards"], rows, filterable=True)),
        here="methods.html",
    )


def _method(name: str, boards: Sequence[SiteBoard]) -> str:
    on = [one for one in boards if name in one.board.provenance.components]
    paper = next((one.board.provenance.components[name].paper for one in on), "")
    parts = []
    for one in on:
        entries = [entry for entry, used in one.components.items() if name in used]
        origin = one.board.provenance.components[name]
        parts.append(paragraph(f"Version {origin.version}, {origin.distribution}. ", state_of(one)))
        if entries:
            parts[-1] += "".join(_group(group, entries) for group in one.board.groups)
        else:
            parts[-1] += paragraph("It took part; which entries name it is not known here.")
        parts[-1] = section(one.slug, paragraph(board_link(one, "../"), f": {one.board.claim}"), parts[-1])
    return page(name, paper or "A component without a paper.", *parts, root="../")


def _group(group: Group, names: Sequence[str]) -> str:
    entries = [entry for entry in group.shown if entry.name in names]
    if not entries:
        return ""
    places = [place for place in group.places if any(entry.at(place).trials for entry in entries)]
    rows = [[entry.name, _rank(entry), *(_value(entry, place, group) for place in places)] for entry in entries]
    caption = f"{group.model} on {group.data}: {group.metric.label} by density"
    shown = table(caption, ["entry", "rank", *(group.labels[place] for place in places)], rows, numbers=True)
    return shown + "".join(
        paragraph(f"{entry.name} does not apply to this network: {note}.") for entry in entries for note in _why(entry)
    )


def _why(entry: Entry) -> list[str]:
    """Why an entry's method does not apply to the network; empty if it does."""
    gaps = (gap for cell in entry.cells.values() for gap in cell.missing.values())
    return list(dict.fromkeys(gap.note for gap in gaps if gap.why == "inapplicable"))


def _rank(entry: Entry) -> str:
    if _why(entry):
        return "does not apply"
    return "reference" if entry.dense else "none" if entry.rank is None else str(entry.rank)


def _value(entry: Entry, place: float, group: Group) -> str:
    cell = entry.at(place)
    return value_text(cell, group.metric, group.trials) if cell.trials else ""
