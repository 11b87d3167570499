"""A benchmark file, resolved: its entries, with every component and default that they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from prunebench.api.component import BoundComponent, ComponentConfig, EntryRef, Slot
from prunebench.api.recipe import Recipe
from prunebench.api.strict import EarlyKey, InWords, Whole
from prunebench.api.task import Metrics
from prunebench.benchmark import bounds
from prunebench.benchmark.choices import DataChoice, ModelChoice, Name
from prunebench.benchmark.densities import ChainKeys
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.tables import Execution, Measure, Report
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import implements
from prunebench.components.metrics import metrics_of


class Entry(ChainKeys):
    """One `[[entry]]`, after grids and `extends`, over what the file says of all entries."""

    more_keys: ClassVar[Mapping[str, EarlyKey]] = {
        "extends": EarlyKey("name of an entry", "", "An entry below this one.", 'extends = "imp"'),
        "grid": EarlyKey(
            "table",
            "",
            "Makes this several entries: axes, each a table of keys and equally long lists of values.",
            'grid.f = { "find.optimizer.lr" = [0.05, 0.2] }',
        ),
        "train": EarlyKey("recipe", "`{}`", "Laid over both recipes.", 'train.horizon = "5ep"'),
        "loss": EarlyKey("list of components", "the recipe's", "Replaces the loss terms of both recipes.", "loss = []"),
        "mask_updates": EarlyKey(
            "list of components", "the recipe's", "Replaces the mask updates of both recipes.", 'mask_updates = "rigl"'
        ),
    }

    name: Name = Field(examples=["imp"])
    """What the results call it; unique in the file."""
    schedule: Annotated[BoundComponent | None, Slot("schedule")] = Field(
        None, examples=["rewind", {"use": "rewind", "to": "2ep"}]
    )
    """The retraining schedule; without it the entry is a dense network."""
    score: Annotated[BoundComponent | None, Slot("score")] = Field(None, examples=["magnitude"])
    """How much a unit is worth; needed with a schedule, unless mask updates alone prune."""
    select: Annotated[BoundComponent | None, Slot("select")] = Field(None, examples=["global"])
    """Which units survive, given the scores; needed with a schedule, unless mask updates alone prune."""
    prune: Annotated[BoundComponent | None, Slot("prune")] = Field(None, examples=["sparsegpt"])
    """Scores and selects in one, instead of `score` and `select`."""
    units: Annotated[BoundComponent, Slot("units"), InWords(default='`"weights"`')] = Field(
        default_factory=lambda: {"use": "weights"}, validate_default=True, examples=["channels"]
    )
    """What is kept or removed as one."""
    tickets: Annotated[str | None, InWords(type="name of an entry")] = Field(None, examples=["imp"])
    """Judge that entry's tickets, found by its schedule, score, selection and find recipe."""
    edits: Annotated[tuple[BoundComponent, ...], Slot("ticket", many=True)] = Field(
        (), alias="ticket", examples=[["shuffle-within-layer", "reinit"]]
    )
    """Edits of each ticket before it is judged, in order."""
    draws: Whole = Field(1, ge=1, le=bounds.DRAWS)
    """How often the edits, or masks that are drawn (as by `random`, or by scores that look at drawn images: `snip`,
    `grasp`, `taylor`, `fisher`), are drawn; draws are averaged within a seed, and tables say how far they lie apart."""
    draw_once: bool = False
    """Whether the score draws once for all rounds: the densities of one draw then share the images that it looks at, or
    the order that `random` gives."""
    analyses: Annotated[tuple[BoundComponent, ...], Slot("analyse", many=True)] = Field(
        (), alias="analyse", examples=["movement"]
    )
    """Analyses of the entry's tickets."""
    task: Annotated[BoundComponent, Slot("task"), InWords(default="the file's")] = Field(examples=["classification"])
    """What the entry's networks are trained for and measured by; laid over the file's task."""
    find: Annotated[Recipe, InWords(type="recipe", default="`{}`")] = Field(examples=[{"optimizer": {"lr": 0.2}}])
    """Laid over the find recipe: how the runs train that find the entry's tickets."""
    evaluate: Annotated[Recipe, InWords(type="recipe", default="`{}`")] = Field(examples=[{"optimizer": {"lr": 0.05}}])
    """Laid over the evaluate recipe: how the runs train that judge the entry's tickets."""
    models: Annotated[tuple[ModelChoice, ...], InWords(type="table", default="`{}`")] = Field(
        alias="model", examples=[{"args": {"widths": [30, 10]}}]
    )
    """Laid over every model of the file."""
    data: Annotated[tuple[DataChoice, ...], InWords(type="table", default="`{}`")] = Field(examples=[{"valid": 1000}])
    """Laid over every data set of the file."""

    @property
    def metrics(self) -> Metrics:
        """How each metric of its task reads; the first is the primary one."""
        return metrics_of(self.task)

    def on(self, model: int) -> Entry:
        """The entry as it trains one of its models: with the recipes of that model, where it has its own."""
        chosen = self.models[model]
        own = {"find": chosen.find, "evaluate": chosen.evaluate}
        return self.model_copy(update={key: recipe for key, recipe in own.items() if recipe is not None})

    def recipes(self) -> Iterator[Recipe]:
        """Every recipe that the entry trains by: to find and to judge, on each of its models."""
        for model in range(len(self.models)):
            entry = self.on(model)
            yield from (entry.find, entry.evaluate)

    def uses(self) -> Iterator[BoundComponent]:
        """Every component that the entry names."""
        for use in (self.task, self.schedule, self.score, self.select, self.prune, self.units):
            if use is not None:
                yield use
        yield from self.edits
        yield from self.analyses
        for recipe in self.recipes():
            yield from (recipe.optimizer, *recipe.lr, *recipe.loss, *recipe.mask_updates, *recipe.transforms)
        for model in self.models:
            yield from (model.use,) if model.init is None else (model.use, model.init)
        yield from (data.use for data in self.data)

    def references(self) -> Iterator[tuple[str, str]]:
        """The entries that this one needs, each after where it says so."""
        if self.tickets is not None:
            yield "tickets", self.tickets
        for use in self.uses():
            yield from ((f'component "{use.name}": {field}', name) for field, name in entry_refs(use.config))

    @property
    def judged(self) -> int:
        """How many tickets are judged on one model, data set and seed, or somewhat more."""
        rounds = self.densities if self.densities is not None else range(self.rounds or 0)
        return max(1, len(rounds)) * self.draws


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A whole file, resolved: what the plan is made of."""

    name: str
    file: str
    claim: str
    note: str
    seeds: tuple[int, ...]
    missing_seeds: tuple[int, ...]
    """Those of the file that the command line leaves out."""
    entries: tuple[Entry, ...]
    """The entries to score, in the order of the file."""
    all_entries: Mapping[str, Entry]
    measure: Measure
    report: Report
    execution: Execution
    expect: tuple[Expect, ...]
    profile: str | None
    catalogue: Catalogue

    @property
    def also(self) -> tuple[BoundComponent, ...]:
        """What reports beside the leaderboard."""
        return self.report.also

    @property
    def track(self) -> tuple[BoundComponent, ...]:
        """Where the events of a run go."""
        return self.execution.track

    @property
    def watching(self) -> tuple[BoundComponent, ...]:
        """What is told of a run while it goes on: the file's trackers, and reports that are trackers too."""
        named = {use.name for use in self.track}
        both = (use for use in self.also if use.name not in named and implements(use.planner, "prunebench_track"))
        return (*self.track, *both)

    def uses(self) -> dict[str, BoundComponent]:
        """Every component that is active, by name."""
        active = {use.name: use for entry in self.entries for use in entry.uses()}
        active.update((use.name, use) for use in (*self.also, *self.track))
        return dict(sorted(active.items()))


def entry_refs(config: ComponentConfig) -> Iterator[tuple[str, str]]:
    """The entries that a component's configuration names, each after its field, which is of type EntryRef."""
    fields: Mapping[str, Any] = type(config).model_fields
    for name in fields:
        value = getattr(config, name)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, EntryRef):
                yield name, str(item)
