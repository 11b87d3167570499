"""The hook reference, docs/hooks.md, from the hook specifications.

`python -m prunebench.commands.hook_reference > docs/hooks.md` writes it again.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prunebench.api import hookspecs

SECTIONS = ("When", "Args", "Returns", "Raises", "Must not", "Source", "Example")
"""The sections of a specification's docstring, in their order, after its first sentence."""

_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):[ ]*", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): ", re.MULTILINE)
_HEADER = """# Hooks

Every place where a plugin can act, in the order of `prunebench/api/hookspecs.py`, from which this page is made
(`python -m prunebench.commands.hook_reference > docs/hooks.md`). An implementation is a method marked with `@hookimpl`;
it may leave out the arguments that it does not need. `plugins/README.md` shows how to start a package.

| hook | answers | slot in a benchmark file |
|---|---|---|
"""


def hooks() -> dict[str, Callable[..., Any]]:
    """Every hook specification by name, in the order of the file."""
    return {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "prunebench_spec")}


def sections(doc: str) -> dict[str, str]:
    """A specification's docstring in parts: "" is the first sentence, then each of SECTIONS that it has."""
    first, *rest = _SECTION.split(inspect.cleandoc(doc))
    parts = {"": first.strip()}
    for name, text in zip(rest[::2], rest[1::2], strict=True):
        # What follows the name on its line is not indented; the lines below it are.
        start, newline, below = text.partition("\n")
        parts[name] = (start + newline + inspect.cleandoc("\n" + below)).strip()
    return parts


def answers(spec: Callable[..., Any]) -> str:
    """Who answers a call, in one phrase."""
    options: Mapping[str, Any] = spec.prunebench_spec  # type: ignore[attr-defined]
    if spec is hookspecs.prunebench_components:
        return "every installed plugin (collected)"
    if not options["firstresult"]:
        return "every component that the file names (collected)"
    # Elsewhere a component is alone in its phase, so there is nothing that a wrapper could wrap.
    wrapped = "wrapper=True" in (spec.__doc__ or "")
    return "one component, and any number of wrappers (first result)" if wrapped else "one component (first result)"


def slot(hook: str) -> str:
    """The place in a benchmark file that needs this hook, or ""."""
    return next((slot for slot, needed in hookspecs.SLOTS.items() if needed == hook), "")


def page() -> str:
    """The whole page."""
    specs = hooks()
    rows = (
        f"| [{name}](#{name}) | {answers(spec)} | {f'`{slot(name)}`' if slot(name) else ''} |"
        for name, spec in specs.items()
    )
    entries = ("\n".join(_entry(name, spec)) for name, spec in specs.items())
    return _HEADER + "\n".join(rows) + "\n\n" + "\n".join(entries)


def _entry(name: str, spec: Callable[..., Any]) -> Iterator[str]:
    parts = sections(spec.__doc__ or "")
    yield f"## {name}\n\n{parts.pop('')}\n"
    signature = inspect.signature(spec)
    arguments = [f"    {argument.name}: {argument.annotation},\n" for argument in signature.parameters.values()]
    listed = "\n" + "".join(arguments) if arguments else ""
    yield f"```python\ndef {name}({listed}) -> {signature.return_annotation}\n```\n"
    place = f"Slot: `{slot(name)}`." if slot(name) else "No slot of its own."
    yield f"Answered by {answers(spec)}. {place}\n"
    for section, text in parts.items():
        if section == "Example":
            yield f"**Example**\n\n```python\n{text}\n```\n"
        elif section == "Args":
            named = _ARGUMENT.sub(lambda match: f"- `{match[1].replace(', ', '`, `')}`: ", text)
            yield f"**Args**\n\n{named}\n"
        else:
            yield f"**{section}**: {text}\n"


if __name__ == "__main__":
    print(page(), end="")
