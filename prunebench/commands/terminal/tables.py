"""Tables for the terminal: plans, results, components, data sets, comparisons."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from rich.console import Group, RenderableType
from rich.text import Text

from prunebench.api.component import Provider
from prunebench.commands.terminal.landing import entries_table, remarks_on
from prunebench.commands.terminal.plain_table import plain_table
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.runner.estimate import Estimate
from prunebench.runner.landing import Landing
from prunebench.runner.preparing import Prepared
from prunebench.runner.work_left import Status

if TYPE_CHECKING:
    from prunebench.api.board import Judgement
    from prunebench.api.estimates import Paired
    from prunebench.verification.comparison import Comparison
    from prunebench.verification.fresh import Claim


def bytes_text(count: int) -> str:
    """A number of bytes in the unit that a person would choose."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:.3g} TB"


def plan_table(prepared: Prepared, numbers: Status, time: Estimate, landed: Sequence[Landing]) -> RenderableType:
    """What a plan would train, and an overview of its entries."""
    facts = plain_table("", "", numbers=1)
    facts.show_header = False
    for name, value in (
        ("trials", numbers.trials),
        ("phases", numbers.phases),
        ("training runs without sharing", numbers.runs_naive),
        ("distinct training runs", numbers.runs_distinct),
        ("  already in the store", numbers.runs_cached),
        ("  still to train", numbers.runs_distinct - numbers.runs_cached),
        ("examples still to process (steps x batch)", numbers.sample_steps),
    ):
        facts.add_row(name, f"{value:,}")
    facts.add_row("disk still to write, about", bytes_text(numbers.disk.total))
    if numbers.disk.unkept:
        facts.add_row("  judged weights, which --keep judged would add", bytes_text(numbers.disk.unkept))
    else:
        facts.add_row("  of it judged weights, kept for export", bytes_text(numbers.disk.judged))
    entries = entries_table(prepared, time, landed)
    reached = [Text(f"{trial.model}, units {trial.units_kind}: {it}") for trial, it in prepared.plan.coverages()]
    remarks = [Text(line) for line in remarks_on(landed, prepared.benchmark.report.axis)]
    return Group(facts, "", entries, "", *remarks, *([""] if remarks else []), *reached)


def plugins_table(catalogue: Catalogue) -> RenderableType:
    """Every component by the place that it fits: version, distribution, paper."""
    table = plain_table("fits", "component", "version", "distribution", "paper")
    for column in table.columns[:4]:
        column.no_wrap = True  # where the terminal is narrow, the paper gives way
    placed = sorted((", ".join(slots_of(p.component)), name, p) for name, p in catalogue.providers.items())
    for places, name, provider in placed:
        table.add_row(
            places, Text(name), str(provider.component.version), provider.distribution, provider.component.paper
        )
    return table


def component_facts(provider: Provider) -> dict[str, Any]:
    """One component for a program."""
    component = provider.component
    return {
        "name": component.name,
        "fits": list(slots_of(component)),
        "version": component.version,
        "distribution": provider.distribution,
        "paper": component.paper,
    }


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
        table = plain_table("key", "type", "default")
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
    table = plain_table("entry", "seed", "density", "metric", "recorded", "run again")
    rows = comparison.shown()
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    more = len(comparison.failures) - len(rows)
    return Group(table, Text(f"and {more:,} more" if more else ""), Text(comparison.verdict))


def claims_table(claims: Sequence[Claim]) -> RenderableType:
    """Whether differences hold on fresh seeds."""
    several = len({(claim.model, claim.data) for claim in claims}) > 1
    table = plain_table("entry", "against", "recorded difference", "on fresh seeds", "")
    for claim in claims:
        where = f", {claim.model} on {claim.data}" if several else ""
        sides = (_paired(claim.recorded), _paired(claim.fresh))
        table.add_row(Text(claim.entry + where), Text(claim.against), *sides, claim.verdict)
    return table


def _paired(pair: Paired | None) -> str:
    if pair is None:
        return "no common seed"
    ends = pair.ends
    return f"{pair.difference:+.4f}" + (f" ({pair.why})" if ends is None else f" [{ends[0]:+.4f}, {ends[1]:+.4f}]")


def verdicts_table(judgements: Sequence[Judgement]) -> RenderableType:
    """Published results against ours."""
    if not judgements:
        return Text("The benchmark file expects no published result.")
    from prunebench.leaderboard.judgements import ours_text, published_text

    table = plain_table("verdict", "claim", "source", "ours", "published")
    for one in judgements:
        claim, source = Text(one.expectation.claim), Text(one.expectation.source)
        table.add_row(one.verdict, claim, source, Text(ours_text(one)), published_text(one))
    return table
