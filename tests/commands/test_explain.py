import json

import pytest
from click.testing import CliRunner

from prunebench.commands.main import main


def explained(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["explain", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_key_is_shown_with_meaning_type_default_and_example() -> None:
    shown = explained("train.numerics")
    assert "forward and backward pass" in shown
    assert 'type     "float32", "tf32" or "bf16"' in shown
    assert 'default  "float32"' in shown
    assert "[train]" in shown


def test_json_has_the_same() -> None:
    (one,) = json.loads(explained("train.numerics", "--json"))
    assert one["choices"] == ["float32", "tf32", "bf16"]
    assert (one["name"], one["default"]) == ("train.numerics", '`"float32"`')


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("results.Row.density", "fraction kept"),
        ("130", "Ctrl-C"),
        ("execution.executor.memory_gib", "local.memory_gib"),
        ("ray.address", "cluster"),
    ],
)
def test_fields_of_results_exit_codes_and_executors_are_explained_too(name: str, part: str) -> None:
    assert part in explained(name)


def test_a_misspelt_key_is_told_with_the_nearest() -> None:
    refused = CliRunner().invoke(main, ["explain", "train.numeric"])
    assert refused.exit_code == 2
    assert "train.numerics" in refused.output
