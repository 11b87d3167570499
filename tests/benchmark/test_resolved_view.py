import json
import tomllib
from pathlib import Path

from click.testing import CliRunner

from prunebench.benchmark.load import resolve
from prunebench.benchmark.merging import normalise
from prunebench.benchmark.resolved_view import resolved
from prunebench.commands.main import main
from prunebench.testing import toy_benchmark, toy_catalogue

QUICKSTART = str(Path(__file__).parents[2] / "benchmarks" / "quickstart.toml")


def test_extends_overlays_and_defaults_are_all_spelled_out() -> None:
    entry = {"name": "late", "extends": "imp", "schedule": {"use": "rewind", "to": "8it"}}
    benchmark = toy_benchmark(entry=[entry], evaluate={"optimizer": {"lr": 0.01}})
    table = resolved(benchmark, benchmark.all_entries["late"])
    assert table["schedule"] == {"use": "rewind", "to": "8it", "early": "find", "reinit": False}
    assert table["score"] == {"use": "magnitude", "normalise": "none"}
    assert (table["find"]["optimizer"]["lr"], table["evaluate"]["optimizer"]["lr"]) == (0.1, 0.01)
    assert table["find"]["lr"] == [{"use": "constant"}]


def test_a_horizon_that_the_mask_lengthens_is_shown_as_its_table() -> None:
    stretched = {"of": "160ep", "times": "macs-ratio", "at_most": 2}
    benchmark = toy_benchmark(entry=[{"name": "imp", "evaluate": {"horizon": stretched, "stop": "80ep"}}])
    recipe = resolved(benchmark, benchmark.all_entries["imp"])["evaluate"]
    assert (recipe["horizon"], recipe["stop"]) == (stretched, "80ep")


def test_what_is_shown_of_an_entry_can_be_written_into_a_file_and_gives_the_same_entry() -> None:
    changes = {"analyse": ["movement"], "densities": [0.8, 0.64], "ticket": "shuffle-within-layer", "draws": 2}
    benchmark = toy_benchmark(entry=[{"name": "imp", **changes}], model={"init": "kaiming_normal"})
    shown = resolved(benchmark, benchmark.all_entries["imp"])
    top = {key: shown.pop(key) for key in ("seeds", "data", "model", "measure")}
    train = {key: shown["find"][key] for key in ("horizon", "batch", "optimizer")}
    file = {"schema": 1, "train": train, "entry": [shown], **top}
    again = resolve(normalise(file), toy_catalogue(), Path("toy.toml"))
    assert again.all_entries["imp"] == benchmark.all_entries["imp"]


def test_an_entry_that_takes_anothers_tickets_shows_that_entrys_chain() -> None:
    benchmark = toy_benchmark(entry=[{"name": "reinit", "tickets": "imp", "ticket": "reinit"}])
    table = resolved(benchmark, benchmark.all_entries["reinit"])
    assert (table["tickets"], table["schedule"]["use"], table["score"]["use"]) == ("imp", "rewind", "magnitude")


def test_the_command_prints_toml_or_json_of_the_same() -> None:
    arguments = ["show", QUICKSTART, "imp-reinit", "--profile", "smoke"]
    toml = CliRunner().invoke(main, arguments)
    as_json = CliRunner().invoke(main, [*arguments, "--json"])
    assert tomllib.loads(toml.output) == json.loads(as_json.output)
    assert json.loads(as_json.output)["find"]["horizon"] == "100it"


def test_a_misspelt_entry_is_told_with_the_nearest() -> None:
    refused = CliRunner().invoke(main, ["show", QUICKSTART, "impp"])
    assert refused.exit_code == 2
    assert 'no entry "impp". Did you mean "imp"?' in refused.output
