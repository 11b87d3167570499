"""docs/components.md: every built-in component and each of its keys."""

import re
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

from prunebench.benchmark.json_schema import json_schema
from prunebench.benchmark.reference import Reference
from prunebench.commands.component_reference import TITLES, page
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.components.option_meanings import option_meanings

REFERENCE = Reference(Catalogue.load().built_in())
PAGE = (Path(__file__).parents[2] / "docs" / "components.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+)\n((?:(?!^#).*\n)*)", PAGE, re.MULTILINE))


def test_the_page_is_made_from_the_components() -> None:
    assert page(REFERENCE) == PAGE, "run: python -m prunebench.commands.component_reference > docs/components.md"


def test_every_kind_of_component_has_a_title() -> None:
    assert {slot for p in REFERENCE.catalogue.providers.values() for slot in slots_of(p.component)} <= set(TITLES)


def test_every_component_stands_once_with_all_its_keys() -> None:
    providers = REFERENCE.catalogue.providers
    assert sorted(re.findall(r"^### (.+)", PAGE, re.MULTILINE)) == sorted(providers)
    for name, provider in providers.items():
        keys = re.findall(r"^\| `(\w+)` \|", SECTIONS[name], re.MULTILINE)
        assert keys == list(option_meanings(provider.component.config)), name


def test_every_example_is_what_a_benchmark_file_may_say() -> None:
    validator = Draft202012Validator(json_schema(REFERENCE.catalogue))
    examples = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == len(SECTIONS)
    for text in examples:
        assert list(validator.iter_errors({"schema": 1, "extends": "whole.toml", **tomllib.loads(text)})) == [], text


def test_every_link_of_the_index_leads_to_a_component() -> None:
    links, anchors = re.findall(r"\(#([\w-]+)\)", PAGE), re.findall(r"^\(([\w-]+)\)=", PAGE, re.MULTILINE)
    assert len(set(anchors)) == len(anchors)
    assert set(links) == set(anchors)
