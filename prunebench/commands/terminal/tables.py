"""Tables for the terminal: plans, results, components, data sets, comparisons."""

from __future__ import annotations

import inspect
import json
import statistics
from collections.abc import Sequence
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prunebench.api.component import Provider
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.runner.preparing import Prepared
from prunebench.runner.running import Outcome
from prunebench.runner.work_left import Status

if TYPE_CHECKING:
    from prunebench.leaderboard.expectations import Judgement
    from prunebench.verification.fresh import Claim
    from prunebench.verification.rerun import Comparison


def _table(*columns: str, numbers: int = 0) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        right = index >= len(columns) - numbers
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def plan_table(prepared: Prepared, numbers: Status) -> RenderableType:
    """What a plan would train, and an overview of its entries."""
    facts = _table("", "", numbers=1)
    facts.show_header = False
    for name, value in (
        ("trials", numbers.trials),
        ("phases", numbers.phases),
        ("training runs without sharing", numbers.runs_naive),
        ("distinct training runs", numbers.runs_distinct),
        ("  already in the store", numbers.runs_cached),
        ("  still to train", numbers.runs_distinct - numbers.runs_cached),
        ("images still to process (steps x batch)", numbers.sample_steps),
    ):
        facts.add_row(name, f"{value:,}")
    entries = _table("entry", "judged at densities")
    for entry in prepared.benchmark.entries:
        trial = next(t for t in prepared.plan.trials if t.entry == entry.name)
        shares = dict.fromkeys(f"{e.run.ticket.count / trial.units:.3g}" for e in trial.evaluations)
        entries.add_row(Text(entry.name), ", ".join(shares))
    return Group(facts, "", entries)


def result_table(prepared: Prepared, outcome: Outcome) -> RenderableType:
    """The means of a run, by entry and density: what to look at first; the leaderboard has intervals."""
    split, _, metric = prepared.benchmark.report.metric.partition("/")
    rows = [row.to_json() for row in outcome.rows if row.role == "evaluate" and row.name == f"{split}/{metric}"]
    places = sorted({(r["model"], r["data"]) for r in rows})
    return Group(*(_place(rows, place, prepared.benchmark.report.metric, len(places) > 1) for place in places))


def _place(rows: list[dict[str, Any]], place: tuple[str, str], metric: str, several: bool) -> RenderableType:
    # Only the last position of each run is its result; earlier ones are stated in the file.
    cells: dict[tuple[str, float], dict[int, dict[str, Any]]] = {}
    here = [r for r in rows if (r["model"], r["data"]) == place]
    for row in here:
        cells.setdefault((row["entry"], round(row["density"], 4)), {})[(row["seed"] * 1000 + row["draw"])] = row
    densities = sorted({density for _, density in cells}, reverse=True)
    title = f"{metric}, mean over seeds, by density" + (f": {place[0]} on {place[1]}" if several else "")
    table = _table("entry", *(f"{d:.3g}" for d in densities), numbers=len(densities))
    for entry in dict.fromkeys(row["entry"] for row in here):
        shown = []
        for density in densities:
            found = cells.get((entry, density), {})
            good = [r["value"] for r in found.values() if r["outcome"] == "ok"]
            bad = len(found) - len(good)
            text = f"{statistics.mean(good):.4g}" if good else ("" if not found else "-")
            shown.append(text + (f" ({bad} of {len(found)} not ok)" if bad else ""))
        table.add_row(Text(entry), *shown)
    return Group("", Text(title), table, "")


def plugins_table(catalogue: Catalogue) -> RenderableType:
    """Every component by the place that it fits: version, distribution, paper."""
    table = _table("fits", "component", "version", "distribution", "paper")
    for column in table.columns[:4]:
        column.no_wrap = True  # where the terminal is narrow, the paper gives way
    placed = sorted((", ".join(slots_of(p.component)), name, p) for name, p in catalogue.providers.items())
    for places, name, provider in placed:
        table.add_row(
            places, Text(name), str(provider.component.version), provider.distribution, provider.component.paper
        )
    return table


def component_page(provider: Provider) -> RenderableType:
    """One component: what it does, its configuration, the hooks that it answers."""
    component = provider.component
    module = inspect.getmodule(component.build)
    parts: list[RenderableType] = [
        Text(f"{component.name}", style="bold"),
        Text(
            f"version {component.version}, {provider.distribution}"
            + (f", {component.paper}" if component.paper else "")
        ),
        "",
        Text(inspect.getdoc(module) or inspect.getdoc(component.build) or ""),
        "",
    ]
    fields = component.config.model_fields
    if fields:
        parts += [Text(inspect.getdoc(component.config) or ""), ""]
        table = _table("key", "type", "default")
        for name, field in fields.items():
            kind = _type_name(field.annotation)
            default = "(required)" if field.is_required() else _written(field.get_default(call_default_factory=True))
            table.add_row(Text(name), Text(kind), Text(default))
        parts.append(table)
    else:
        parts.append(Text("It takes no configuration."))
    hooks = [name for name in dir(component.build) if name.startswith("prunebench_")]
    parts += ["", Text("hooks: " + ", ".join(hooks)), Text("fits: " + ", ".join(slots_of(provider.component)))]
    return Group(*parts)


def _written(default: Any) -> str:
    """A default as it would stand in a file."""
    return "none" if default is None else json.dumps(default, default=str, ensure_ascii=False)


def _type_name(kind: Any) -> str:
    """A type as a person writes it: constraints left out, which the error messages tell."""
    if get_origin(kind) is Annotated:
        return _type_name(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return " | ".join(f'"{value}"' for value in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(_type_name(arg) for arg in get_args(kind))
    if get_args(kind):
        if get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,):
            return f"list of {_type_name(get_args(kind)[0])}"
        inner = ", ".join("..." if arg is Ellipsis else _type_name(arg) for arg in get_args(kind))
        return f"{get_origin(kind).__name__}[{inner}]"
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))


def comparison_table(comparison: Comparison) -> RenderableType:
    """What held of a leaderboard that was run again."""
    if not comparison.failures:
        return Text(comparison.verdict)
    table = _table("entry", "seed", "density", "metric", "recorded", "run again")
    rows = comparison.shown()
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    more = len(comparison.failures) - len(rows)
    return Group(table, Text(f"and {more:,} more" if more else ""), Text(comparison.verdict))


def claims_table(claims: Sequence[Claim]) -> RenderableType:
    """Whether differences hold on fresh seeds."""
    table = _table("entry", "against", "recorded difference", "on fresh seeds", "")
    for claim in claims:
        sides = [
            f"{mean:+.4f}" + (" (one seed)" if interval is None else f" [{interval[0]:+.4f}, {interval[1]:+.4f}]")
            for mean, interval in (
                (claim.recorded, claim.recorded_interval),
                (claim.fresh, claim.fresh_interval),
            )
        ]
        table.add_row(Text(claim.entry), Text(claim.against), *sides, claim.verdict)
    return table


def verdicts_table(judgements: Sequence[Judgement]) -> RenderableType:
    """Published results against ours."""
    if not judgements:
        return Text("The benchmark file expects no published result.")
    table = _table("verdict", "claim", "source", "ours", "published")
    for one in judgements:
        said = "" if one.published is None else f"{one.published[0]:g} against {one.published[1]:g}"
        claim, source = (Text(str(one.expectation[key])) for key in ("claim", "source"))
        table.add_row(one.verdict, claim, source, Text(one.ours), said)
    return table
