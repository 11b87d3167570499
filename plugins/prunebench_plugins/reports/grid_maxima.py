"""The best coupled against the best decoupled cell of a grid of find and evaluate values, at each density.

Coupled: the tickets are found and judged with one value. The best of a set is chosen anew for each seed, by the other
seeds and another split, so that its luck is not counted as merit; the naive maxima, as published, stand beside it.

Source: the decoupled find-eval paper of 2021, figures 2 and 3; Stone 1974; Nadeau & Bengio 2003.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.board import Board, Cell, Group
from prunebench.api.estimates import Interval, Paired
from prunebench.api.metric import Metric
from prunebench.stats.best import Pick, best, difference, interval_of, left_out, naive
from prunebench.stats.student import holm


class GridMaximaConfig(ComponentConfig):
    """`entries`: the names of the grid's entries, with the values' places in them, as in "lr-{find}-{evaluate}".

    `values`: the values, as they stand in the names, in the order of the figures. `metric` judges, and `choose_by`
    chooses; it may not be of the test split. `decoupled`: the cells off the diagonal, or all of them, of which the best
    is never worse than the best coupled one where the same values choose and judge. `name`: of the files.
    """

    entries: str = Field(examples=["lr-{find}-{evaluate}"])
    values: tuple[str, ...] = Field(min_length=2, examples=[["0.05", "0.2"]])
    metric: str = "test/accuracy"
    choose_by: str = "valid/accuracy"
    decoupled: Literal["off-diagonal", "all"] = "off-diagonal"
    name: str = Field(default="grid-maxima", pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")

    @field_validator("entries")
    @classmethod
    def _both_axes(cls, entries: str) -> str:
        if entries.count("{find}") != 1 or entries.count("{evaluate}") != 1:
            raise ValueError('write the values\' places into the name, as in "lr-{find}-{evaluate}"')
        return entries

    @field_validator("choose_by")
    @classmethod
    def _never_by_test(cls, choose_by: str) -> str:
        if not choose_by.startswith(("valid/", "train/")):
            raise ValueError('write "valid/METRIC" or "train/METRIC": test data judge, and never choose')
        return choose_by

    @model_validator(mode="after")
    def _distinct(self) -> GridMaximaConfig:
        if len(self.cells) < len(self.values) ** 2 or len(set(self.cells.values())) < len(self.cells):
            raise ValueError("two cells of the grid would have the same name")
        return self

    @property
    def cells(self) -> dict[tuple[str, str], str]:
        """The entry of each (find value, evaluate value)."""
        pairs = ((find, evaluate) for find in self.values for evaluate in self.values)
        return {pair: self.entries.replace("{find}", pair[0]).replace("{evaluate}", pair[1]) for pair in pairs}


@dataclass(frozen=True)
class Maxima:
    """What the grid gives at one place of one model and data.

    Args:
        group: of the metric that judges.
        picks: by set ("coupled", "decoupled") and seed, chosen by the other seeds.
        naive: the same, chosen by the values that judge.
        levels: the picks' mean and interval; None without values.
        pair, plain: decoupled minus coupled, of the picks (widened interval) and of the naive ones.
        p: of `pair`, after Holm's correction over the places.
        chosen: the cell that all seeds together choose.
    """

    config: GridMaximaConfig
    group: Group
    place: float
    picks: Mapping[str, Mapping[int, Pick]]
    naive: Mapping[str, Mapping[int, Pick]]
    levels: Mapping[str, Interval | None]
    pair: Paired | None
    plain: Paired | None
    p: float | None
    chosen: tuple[str, str] | None

    @property
    def metric(self) -> Metric:
        """How the metric that judges reads."""
        return self.group.metric

    @property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """The board's cell of each (find value, evaluate value)."""
        return {pair: self.group.at(entry, self.place) for pair, entry in self.config.cells.items()}


class GridMaxima:
    """Writes the maxima of a grid as a page, as CSV and as two pictures."""

    def __init__(self, config: GridMaximaConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_report(self, board: Board, folder: Path) -> None:
        """Write NAME.md and NAME.csv and, where the grid was scored, NAME.svg and NAME-cells.svg."""
        from prunebench_plugins.reports import _grid_pictures, _grid_tables

        config = self._config
        found = list(maxima(board, config))
        texts = {
            f"{config.name}.md": _grid_tables.page(found, config, board),
            f"{config.name}.csv": _grid_tables.csv_text(found),
        }
        if found:
            texts[f"{config.name}.svg"] = _grid_pictures.over_places(found, config.name)
            texts[f"{config.name}-cells.svg"] = _grid_pictures.cells(found, config.values, config.name)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def maxima(board: Board, config: GridMaximaConfig) -> Iterator[Maxima]:
    """The maxima of each model and data, from dense to sparse; none where no cell of a set was tried.

    Raises: PrunebenchError if one of the two metrics was not measured.
    """
    if not set(config.cells.values()) & set(board.provenance.entries):
        return
    chosen = {(group.model, group.data): group for group in board.of(config.choose_by).groups}
    for group in board.of(config.metric).groups:
        by = chosen[group.model, group.data]
        here = [one for p in group.places if p < 1 and (one := _maxima(group, by, p, config, board.alpha)) is not None]
        raw = {place: one.pair.p for place, one in enumerate(here) if one.pair is not None and one.pair.p is not None}
        corrected = dict(zip(raw, holm(list(raw.values())), strict=True))
        yield from (replace(one, p=corrected.get(place)) for place, one in enumerate(here))


def _maxima(group: Group, by: Group, place: float, config: GridMaximaConfig, alpha: float) -> Maxima | None:
    cells = {pair: group.at(entry, place) for pair, entry in config.cells.items()}
    sets = {
        "coupled": [(f, e) for f, e in cells if f == e],
        "decoupled": [(f, e) for f, e in cells if f != e or config.decoupled == "all"],
    }
    if not all(any(cells[pair].trials for pair in own) for own in sets.values()):
        return None
    seeds = frozenset(seed for cell in cells.values() for seed in (*cell.values, *cell.broken))
    judge = {config.cells[pair]: cell.values for pair, cell in cells.items()}
    choose = {entry: by.at(entry, place).values for entry in judge}
    picks, plainly = {}, {}
    for name, own in sets.items():
        names = [config.cells[pair] for pair in own]
        c, j = ({entry: table[entry] for entry in names} for table in (choose, judge))
        picks[name] = left_out(c, j, seeds, by.metric.higher)
        plainly[name] = naive(j, seeds, group.metric.higher)
    whole = best(choose, seeds, by.metric.higher)
    return Maxima(
        config=config,
        group=group,
        place=place,
        picks=picks,
        naive=plainly,
        levels={name: interval_of(own, alpha) for name, own in picks.items()},
        pair=difference(picks["decoupled"], picks["coupled"], alpha),
        plain=difference(plainly["decoupled"], plainly["coupled"], alpha),
        p=None,
        chosen=next((pair for pair, entry in config.cells.items() if entry == whole), None),
    )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `grid-maxima`."""
    yield Component(
        "grid-maxima", GridMaximaConfig, GridMaxima, version=1, paper="decoupled find-eval paper 2021, figures 2 and 3"
    )
