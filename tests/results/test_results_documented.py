import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from prunebench.commands.main import main
from prunebench.commands.results_reference import _PARTS, described, page

ROOT = Path(__file__).parents[2]
BOARDS = sorted(path.parent for path in (ROOT / "leaderboards").glob("*/provenance.json"))


def test_the_page_is_made_from_the_types() -> None:
    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert written == page(), "run `python -m prunebench.commands.results_reference > docs/results.md`"


@pytest.mark.parametrize("type", [type for types in _PARTS.values() for type in types], ids=lambda type: type.__name__)
def test_every_field_and_nothing_else_is_documented(type: type) -> None:
    _, fields, _ = described(type)
    assert list(fields) == list(type.model_fields)  # type: ignore[attr-defined]
    assert all(text.endswith(".") for text in fields.values())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_line_of_the_committed_leaderboards_fits_the_schema(board: Path) -> None:
    schemas = json.loads(CliRunner().invoke(main, ["schema", "--results"]).stdout)
    assert list(schemas) == ["results.jsonl", "details.jsonl", "provenance.json"]
    for file, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        text = (board / file).read_text(encoding="utf-8")
        for line in [text] if file == "provenance.json" else text.splitlines()[::97]:
            validator.validate(json.loads(line))


@pytest.mark.parametrize(
    ("file", "damage"), [("results.jsonl", '"seed"'), ("results.jsonl", '"value"'), ("details.jsonl", '"iteration"')]
)
def test_a_field_of_another_name_does_not_fit(file: str, damage: str) -> None:
    schemas = json.loads(CliRunner().invoke(main, ["schema", "--results"]).stdout)
    line = (BOARDS[0] / file).read_text(encoding="utf-8").splitlines()[0].replace(damage, '"other"')
    assert list(Draft202012Validator(schemas[file]).iter_errors(json.loads(line)))
