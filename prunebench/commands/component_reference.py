"""The reference of the built-in components, docs/components.md, from the components themselves.

`python -m prunebench.commands.component_reference > docs/components.md` writes it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunebench.api.component import Provider
from prunebench.benchmark.reference import Reference
from prunebench.benchmark.tables import TopTable
from prunebench.commands.file_reference import keys_table
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of

TITLES: Mapping[str, str] = {
    "data": "Data",
    "model": "Models",
    "init": "First weights",
    "task": "Tasks",
    "optimizer": "Optimizers",
    "lr": "Learning rates",
    "loss": "Loss terms",
    "mask_updates": "Mask updates",
    "transforms": "Transforms of a batch",
    "schedule": "Retraining schedules",
    "score": "Scores",
    "select": "Selection",
    "prune": "Scores and selection in one",
    "units": "Units",
    "ticket": "Edits of tickets",
    "analyse": "Analyses",
    "report": "Reports",
    "track": "Trackers",
}
"""The kinds of components by the name of their slot, in the order of a file."""

_HEADER = """# Components

The components that come with prunebench, by the key of a benchmark file that takes them. This page is made from the
components themselves (`python -m prunebench.commands.component_reference > docs/components.md`); `prunebench explain
NAME` shows the same on the terminal, and `prunebench plugins list` also what other packages brought.

"""


def page(reference: Reference) -> str:
    """The whole page: the components by kind, each with its source, an example and its keys."""
    own = reference.catalogue.providers.values()
    by_slot = {slot: [p for p in own if slot in slots_of(p.component)] for slot in TITLES}
    index = (_line(slot, providers, reference) for slot, providers in by_slot.items())
    table = "\n".join(["| kind | key | components |", "|---|---|---|", *index])
    shown: set[str] = set()
    parts: list[str] = []
    for slot, providers in by_slot.items():
        parts.append(f"## {TITLES[slot]}\n")
        for provider in providers:
            if provider.component.name not in shown:  # one that fits two places stands at the first
                parts += _component(provider, reference)
            shown.add(provider.component.name)
        if all(len(slots_of(p.component)) > 1 for p in providers):
            parts.append("See above.\n")
    return _HEADER + table + "\n\n" + "\n".join(parts)


def _line(slot: str, providers: Sequence[Provider], reference: Reference) -> str:
    names = ", ".join(f"[{p.component.name}](#{_anchor(p.component.name)})" for p in providers)
    table, _, key = reference.places[slot][0].partition(".")
    place = key if table == "entry" and key in TopTable.model_fields else f"{table}.{key}".removesuffix(".use")
    return f"| {TITLES[slot]} | `{place}` | {names} |"


def _component(provider: Provider, reference: Reference) -> Iterator[str]:
    component, about = provider.component, reference.component(provider)
    yield f"({_anchor(component.name)})=\n### {component.name}\n"
    yield f"{about.meaning}\n"
    example = about.example.replace("[[entry]]\n", '[[entry]]\nname = "mine"\n')
    yield f"```toml\n{example}\n```\n"
    keys = list(reference.options(provider))
    if keys:
        yield keys_table(keys) + "\n"


def _anchor(name: str) -> str:
    """Of a component: another than that of a title, such as that of the component `data`."""
    return f"component-{name.replace('_', '-')}"


if __name__ == "__main__":
    print(page(Reference(Catalogue.load().built_in())), end="")
