"""Reads numbers back from every form in which a board is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prunebench.api.board import AXES, Board
from prunebench.api.metric import Metric
from prunebench.api.report import RECORD_COLUMNS

from . import latex
from .boards import lines_of

_CELL = re.compile(r"(?:(≈?-?[\d.]+)( ± [\d.]+| \[[^\]]*\])?)?(?: ?\((.*)\))?")

_DIFFERENCE = re.compile(
    r"(?:\*\*)?([+-]?[\d.]+)(?: ± [\d.]+| \[[^\]]*\])?(?:, p([=<][\d.]+))?(?:\*\*)?(?: \(n=\d+\))?$"
)


@dataclass(frozen=True)
class Number:
    """What a cell shows: a mean, ≈ before it where it lies between tickets, its interval, and remarks without n."""

    mean: str | None
    spread: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """An entry's rank as printed and its cells by label, without those where nothing was tried."""

    rank: str | None
    cells: Mapping[str, Number]


Form = dict[tuple[str, str], Line]
"""By ("MODEL on DATA", entry), in the order of the form."""


def number(text: str) -> Number | None:
    """A cell's text; None where nothing was tried."""
    if text == "–":
        return None
    match = _CELL.fullmatch(text)
    assert match, text
    remarks = tuple(part for part in (match[3] or "").split("; ") if part and not part.startswith("n="))
    return Number(match[1], match[2] or "", remarks)


def _line(rank: str, labels: list[str], texts: list[str]) -> Line:
    found = {label: number(text) for label, text in zip(labels, texts, strict=True)}
    return Line(None if rank in ("", "–") else rank, {label: one for label, one in found.items() if one is not None})


def _bare(name: str) -> str:
    return name.removesuffix(" (unpruned)")


def readme(text: str) -> Form:
    """The main tables of README.md."""
    form: Form = {}
    for section in re.split(r"^## ", text, flags=re.M):
        tables = lines_of(section.split("\n\nDifference to")[0])
        if tables and tables[0][0] == "rank" and tables[0][2] == "n":
            where, head = section.splitlines()[0], tables[0]
            for rank, name, _, *cells in tables[2:]:
                form[where, _bare(name)] = _line(rank, head[3:], cells)
    return form


def differences(text: str) -> dict[tuple[str, str, str], tuple[str, str | None]]:
    """The difference tables of README.md: difference and p, as printed, by where, entry and label."""
    found = {}
    for section in re.split(r"^## ", text, flags=re.M):
        where, _, after = section.partition("\n\nDifference to")
        tables = lines_of(after.split("\n\n## ")[0])
        if where.startswith("Behind the table") or not tables or not tables[0][0].startswith("entry / "):
            continue
        for name, *cells in tables[2:]:
            for label, cell in zip(tables[0][1:], cells, strict=True):
                match = _DIFFERENCE.match(cell)
                if match:
                    found[where.splitlines()[0], _bare(name), label] = (match[1], match[2])
    return found


def page(overview: Mapping[str, Any]) -> Form:
    """The tables of index.html, from the JSON that it carries."""
    form: Form = {}
    for group in overview["groups"]:
        for entry in group["entries"]:
            cells = {}
            for label, cell in zip(group["labels"], entry["cells"], strict=True):
                if cell is not None:
                    broken = ", ".join(f"{n} of {cell['trials']} {name}" for name, n in cell["outcomes"].items())
                    remarks = tuple(filter(None, (cell.get("between"), broken, cell.get("draws"))))
                    cells[label] = Number(cell.get("text"), cell.get("spread", ""), remarks)
            rank = None if entry["rank"] is None else str(entry["rank"])
            form[f"{group['model']} on {group['data']}", entry["name"]] = Line(rank, cells)
    return form


def tex(text: str) -> Form:
    """The tables of table.tex."""
    form: Form = {}
    for table in text.split(r"\begin{table}")[1:]:
        caption = re.search(r"\\caption\{(.*?): ", table)
        assert caption
        lines = [[_plain(cell) for cell in line] for line in latex.lines_of(r"\begin{table}" + table)]
        noted = re.search(r"footnotesize \$\\approx\$ interpolated, (.*)\.$", table, re.MULTILINE)
        between = dict(note.split(": ", 1) for note in _plain(noted[1]).split("; ")) if noted else {}
        for rank, name, _, *cells in lines[1:]:
            read = _line(rank, lines[0][3:], cells)
            whole = dict(read.cells)
            for label, one in read.cells.items():
                if "≈" in (one.mean or ""):
                    whole[label] = replace(one, remarks=(between[f"{name} at {label}"], *one.remarks))
            form[_plain(caption[1]), _bare(name)] = replace(read, cells=whole)
    return form


def _plain(text: str) -> str:
    for command, character in (
        (r"$\pm$", "±"),
        (r"\%", "%"),
        (r"\textendash{}", "–"),
        (r"\_", "_"),
        (r"$\approx$", "≈"),
    ):
        text = text.replace(command, character)
    return text


def terminal(text: str, width: int) -> Form:
    """The tables of a terminal, of whatever layout; no line is wider than the terminal unless one word is."""
    form: dict[tuple[str, str], tuple[str | None, dict[str, Number]]] = {}
    for line in text.splitlines():
        assert len(line) <= width or " " not in line.strip(), line
    for where, lines in _sections(text):
        labels: list[str] = []
        stacked: tuple[str, str] | None = None
        headed = False
        for line in lines:
            parts, headed = re.split(r" {2,}", line.strip()), headed or line.startswith("rank")
            if parts[:2] == ["rank", "entry"]:
                labels, stacked = parts[2:], None
            elif headed:
                rank, name, *cells = parts
                read = _line(rank, labels, cells)
                form.setdefault((where, _bare(name)), (read.rank, {}))[1].update(read.cells)
            elif not line.startswith(" "):
                stacked = (where, _bare(parts[0]))
                form[stacked] = (parts[1].removeprefix("rank ") if len(parts) > 1 else None, {})
            elif parts[0].startswith("rank "):
                assert stacked is not None
                form[stacked] = (parts[0].removeprefix("rank "), {})
            else:
                assert stacked is not None
                one = number(parts[1])
                assert one is not None
                form[stacked][1][parts[0]] = one
    return {at: Line(rank, cells) for at, (rank, cells) in form.items()}


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """The groups of a terminal's text: title, and the lines after its caption, with wrapped ones joined."""
    for block in re.split(r"\n\n(?=\S+ on \S+:\s)", text.strip()):
        lines = block.splitlines()
        captions = [" ".join(lines[:end]) for end in range(len(lines) + 1)]
        start = next(end for end, caption in enumerate(captions) if caption.endswith(tuple(AXES.values())))
        stacked = not any(re.match(r"rank +entry", line) for line in lines)
        joined: list[str] = []
        for line in lines[start:]:
            if line.startswith("No value,"):
                break
            if stacked and re.match(r" {6}", line) and not re.match(r" +[\d.]+ %  ", line):
                joined[-1] += " " + line.strip()
            elif line.strip():
                joined.append(line)
        yield captions[start].split(": ")[0], joined


def records(board: Board, lines: Iterable[Sequence[Any]]) -> Form:
    """Flat records of a board, as trackers have them, printed."""
    form: dict[tuple[str, str], tuple[str | None, dict[str, Number]]] = {}
    groups = {(group.model, group.data): group for group in board.groups}
    for values in lines:
        one = dict(zip(RECORD_COLUMNS, values, strict=True))
        group = groups[str(one["model"]), str(one["data"])]
        if one["n"] == one["collapsed"] == one["diverged"] == one["failed"] == 0:
            assert one["missing"]
            assert one["gap"]
            continue
        trials = sum(int(one[name] or 0) for name in ("n", "collapsed", "diverged", "failed"))
        remarks = [", ".join(f"{one[o]} of {trials} {o}" for o in ("collapsed", "diverged", "failed") if one[o])]
        if one["interpolated"]:
            pairs = (("above_mean", "above_place"), ("below_mean", "below_place"))
            ends = [f"{group.metric.number(_float(one[v]))} at {100 * _float(one[p]):.3g} %" for v, p in pairs]
            remarks.insert(0, f"between {' and '.join(ends)}")
        if one["draws_apart"] is not None:
            remarks.append(f"draws up to {group.metric.number(_float(one['draws_apart']))} apart")
        at = (f"{one['model']} on {one['data']}", str(one["entry"]))
        rank = None if one["rank"] is None else str(one["rank"])
        form.setdefault(at, (rank, {}))[1][group.labels[_float(one["place"])]] = Number(
            *_printed(group.metric, one), tuple(filter(None, remarks))
        )
    return {at: Line(rank, cells) for at, (rank, cells) in form.items()}


def _printed(metric: Metric, one: Mapping[str, Any]) -> tuple[str | None, str]:
    mean, low, high = one["mean"], one["low"], one["high"]
    if mean is None:
        return None, ""
    text = ("≈" if one["interpolated"] else "") + metric.number(mean)
    if low is None:
        return text, ""
    if abs((high - mean) - (mean - low)) <= 1e-6 * abs(high - mean):
        return text, f" ± {metric.number(high - mean)}"
    return text, f" [{metric.number(low)}, {metric.number(high)}]"


def _float(value: object) -> float:
    assert isinstance(value, float)
    return value
