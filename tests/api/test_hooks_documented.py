import doctest
import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import prunebench.testing
from prunebench.api.hookspecs import SLOTS
from prunebench.commands.hook_reference import SECTIONS, hooks, page, sections

ROOT = Path(__file__).parents[2]
TEXTS = {
    path: path.read_text(encoding="utf-8")
    for folder in ("tests", "plugins/prunebench_plugins")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)
}
OPTIONAL = {"Args", "Returns", "Raises", "Must not", "Source"}

each_hook = pytest.mark.parametrize(("name", "spec"), hooks().items(), ids=hooks())


def contracts(hook: str) -> list[str]:
    found = ((name, getattr(prunebench.testing, name)) for name in prunebench.testing.__all__)
    return [name for name, item in found if SLOTS.get(getattr(item, "slot", "")) == hook]


def test_every_slot_of_a_file_has_a_hook() -> None:
    assert set(SLOTS.values()) <= set(hooks())
    assert len(set(SLOTS.values())) == len(SLOTS)


def test_the_reference_is_made_from_the_specifications() -> None:
    written = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert written == page(), "run `python -m prunebench.commands.hook_reference > docs/hooks.md`"


@each_hook
def test_the_reference_has_a_heading_and_a_row(name: str, spec: Callable[..., Any]) -> None:
    lines = page().splitlines()
    assert lines.count(f"## {name}") == 1
    assert sum(line.startswith(f"| [{name}](#{name}) |") for line in lines) == 1


@each_hook
def test_the_docstring_has_one_sentence_and_then_its_sections_in_order(name: str, spec: Callable[..., Any]) -> None:
    parts = sections(spec.__doc__ or "")
    assert re.fullmatch(r"[A-Z][^\n]*\.", parts.pop(""))
    assert list(parts) == [section for section in SECTIONS if section in parts]
    assert set(SECTIONS) - OPTIONAL <= parts.keys()
    assert all(parts.values())
    assert ("Returns" in parts) == (signature(spec).return_annotation != "None")


@each_hook
def test_the_documented_arguments_are_those_of_the_signature(name: str, spec: Callable[..., Any]) -> None:
    text = sections(spec.__doc__ or "").get("Args", "")
    documented = [one for names in re.findall(r"^(\w+(?:, \w+)*): ", text, re.MULTILINE) for one in names.split(", ")]
    arguments = list(signature(spec).parameters)
    assert documented == [argument for argument in arguments if argument in documented]


@each_hook
def test_the_example_runs(name: str, spec: Callable[..., Any]) -> None:
    example = doctest.DocTestParser().get_doctest(sections(spec.__doc__ or "")["Example"], {}, name, None, None)
    assert example.examples[-1].want, "an example shows what comes out"
    told: list[str] = []
    results = doctest.DocTestRunner().run(example, out=told.append)
    assert results.failed == 0, "".join(told)


@each_hook
def test_a_component_implements_it(name: str, spec: Callable[..., Any]) -> None:
    implementation = re.compile(rf"@hookimpl(\(.*\))?\n\s*def {name}\(")
    assert any(implementation.search(text) for text in TEXTS.values())


@each_hook
def test_a_test_names_it_or_its_contract(name: str, spec: Callable[..., Any]) -> None:
    named = re.compile(rf"\b({'|'.join([name, *contracts(name)])})\b")
    assert any(named.search(text) for path, text in TEXTS.items() if path.is_relative_to(ROOT / "tests"))
