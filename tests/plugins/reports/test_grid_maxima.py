import csv
import re
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from leaderboard.boards import made, row

from prunebench.api.errors import ConfigError, PrunebenchError
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager

CATALOGUE = Catalogue.load()
GRID = {"use": "grid-maxima", "entries": "lr-{find}-{evaluate}", "values": ["0.1", "1e-2"]}
NAMES = [f"lr-{find}-{evaluate}" for find in ("0.1", "1e-2") for evaluate in ("0.1", "1e-2")]
VALID = {
    "lr-0.1-0.1": [0.90, 0.50, 0.60],
    "lr-1e-2-1e-2": [0.70, 0.80, 0.70],
    "lr-0.1-1e-2": [0.10, 0.10, 0.10],
    "lr-1e-2-0.1": [0.95, 0.85, 0.90],
}


def rows(densities: tuple[float, ...] = (0.5,), **changes: Any) -> list[dict[str, Any]]:
    """Test values are a hundredth above the valid ones."""
    found = [row("dense", seed, 1.0, 0.9, split=split) for seed in range(3) for split in ("valid", "test")]
    for entry, values in VALID.items():
        for round_, density in enumerate(densities, 1):
            for seed, value in enumerate(values):
                placed = {"round": round_, **changes}
                found.append(row(entry, seed, density, value, split="valid", **placed))
                found.append(row(entry, seed, density, value + 0.01, split="test", **placed))
    return found


def report(folder: Path, rows: list[dict[str, Any]], scored: list[str] | None = None, **config: Any) -> str:
    known = ["dense", *NAMES] if scored is None else scored
    results, board = made(rows, entries=known, metric=f"{rows[0]['split']}/{rows[0]['metric']}")
    use = CATALOGUE.use({**GRID, **config}, slot="report", where="report.also")
    run_manager([use]).hook.prunebench_report(results=results, board=board, folder=folder)
    return (folder / f"{use.config.model_dump()['name']}.md").read_text()


def record(folder: Path) -> dict[str, str]:
    (one,) = csv.DictReader((folder / "grid-maxima.csv").read_text().splitlines())
    return one


def test_every_seed_is_judged_by_the_choice_of_the_others_as_by_hand(tmp_path: Path) -> None:
    page = report(tmp_path, rows())
    one = record(tmp_path)
    # without seed 0 and without seed 2 the coupled choice is 1e-2, without seed 1 it is 0.1
    assert float(one["coupled"]) == pytest.approx(mean([0.71, 0.51, 0.71]))
    assert float(one["decoupled"]) == pytest.approx(mean([0.96, 0.86, 0.91]))
    assert float(one["naive_coupled"]) == pytest.approx(mean([0.71, 0.81, 0.71]))
    assert float(one["difference"]) == pytest.approx(mean([0.25, 0.35, 0.20]))
    assert float(one["naive_difference"]) == pytest.approx(mean([0.25, 0.05, 0.20]))
    # t of two degrees of freedom 4.30265, deviation of .25, .35, .20 0.076376, widened by sqrt(1 + 3/2)
    half = 4.30265 * 0.0763763 / 3**0.5 * 2.5**0.5
    assert float(one["high"]) - float(one["difference"]) == pytest.approx(half, rel=1e-4)
    assert one["n"] == "3"
    assert "| 1e-2 (2), 0.1 (1) | 1e-2 → 0.1 " in page
    assert f"+26.67 ± {100 * half:.2f}" in page


def test_cells_meet_at_the_cost_that_the_board_compares_at(tmp_path: Path) -> None:
    # the coupled cells prune channels and the decoupled ones weights: other densities, the same cost
    placed = []
    for one in rows():
        coupled = one["entry"] in ("lr-0.1-0.1", "lr-1e-2-1e-2")
        density = 1.0 if one["entry"] == "dense" else 0.6 if coupled else 0.2
        placed.append({**one, "density": density, "density_macs": 1.0 if density == 1 else 0.5})
    results, board = made(
        placed, entries=["dense", *NAMES], metric="test/accuracy", axis="density_macs", at=[0.5], against=None
    )
    use = CATALOGUE.use(GRID, slot="report", where="report.also")
    run_manager([use]).hook.prunebench_report(results=results, board=board, folder=tmp_path)
    one = record(tmp_path)  # one place, at which both sets were tried
    assert float(one["decoupled"]) == pytest.approx(mean([0.96, 0.86, 0.91]))
    assert float(one["coupled"]) == pytest.approx(mean([0.71, 0.51, 0.71]))


def test_all_cells_may_be_called_decoupled(tmp_path: Path) -> None:
    better = [{**one, "value": 1.0} if one["entry"] == "lr-0.1-0.1" else one for one in rows()]
    report(tmp_path, better, decoupled="all")
    assert float(record(tmp_path)["difference"]) == 0.0
    report(tmp_path, better)
    assert float(record(tmp_path)["difference"]) == pytest.approx(mean([-0.04, -0.14, -0.09]))


def test_a_loss_is_chosen_by_its_least(tmp_path: Path) -> None:
    losses = [{**one, "metric": "loss", "unit": "nats"} for one in rows()]
    report(tmp_path, losses, metric="test/loss", choose_by="valid/loss")
    assert float(record(tmp_path)["decoupled"]) == pytest.approx(0.11)


def test_a_cell_with_a_trial_that_is_not_ok_is_chosen_only_by_those_that_cannot_know(tmp_path: Path) -> None:
    broken = [
        {**one, "value": None, "outcome": "diverged"} if (one["entry"], one["seed"]) == ("lr-1e-2-0.1", 0) else one
        for one in rows()
    ]
    page = report(tmp_path, broken)
    assert "Trials that are not ok: 1e-2 → 0.1 at 50.0 %: 1." in page
    assert "1 not ok where picked" in page
    assert "(n=2)" in page
    assert float(record(tmp_path)["decoupled"]) == pytest.approx(0.11)


def test_one_seed_has_no_other_to_choose(tmp_path: Path) -> None:
    page = report(tmp_path, [one for one in rows() if one["seed"] == 0])
    assert "one seed: none to choose by" in page
    one = record(tmp_path)
    assert (one["difference"], one["n"]) == ("", "0")
    assert float(one["naive_difference"]) == pytest.approx(0.05)


def test_p_is_corrected_over_the_densities_and_these_are_in_order(tmp_path: Path) -> None:
    report(tmp_path, rows(densities=(0.5, 0.25)))
    report(tmp_path, rows(densities=(0.5,)), name="alone")
    both = list(csv.DictReader((tmp_path / "grid-maxima.csv").read_text().splitlines()))
    (alone,) = csv.DictReader((tmp_path / "alone.csv").read_text().splitlines())
    assert [one["density"] for one in both] == ["0.5", "0.25"]
    assert [float(one["p_holm"]) for one in both] == pytest.approx([2 * float(alone["p_holm"])] * 2)


def test_pictures_show_every_cell_and_density(tmp_path: Path) -> None:
    report(tmp_path, rows(densities=(0.5, 0.25)))
    cells, over = ((tmp_path / f"grid-maxima{end}.svg").read_text() for end in ("-cells", ""))
    said = re.findall(r"<text[^>]*>([^<]*)</text>", cells)
    assert {"50.0 %", "25.0 %", "found with", "judged with", "0.1", "1e-2", "91.0"} <= set(said)
    assert said.count("★") == 2
    assert {"best coupled", "best decoupled, naive", "decoupled minus coupled"} <= set(
        re.findall(r"<text[^>]*>([^<]*)</text>", over)
    )


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report(tmp_path / name, rows())
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 4


def test_cells_that_were_not_scored_are_named(tmp_path: Path) -> None:
    without = [one for one in rows() if one["entry"] != "lr-0.1-1e-2"]
    page = report(tmp_path, without, ["dense", "lr-0.1-0.1", "lr-1e-2-1e-2", "lr-1e-2-0.1"])
    assert "Not scored, and so no candidates: lr-0.1-1e-2." in page
    assert float(record(tmp_path)["difference"]) == pytest.approx(mean([0.25, 0.35, 0.20]))


def test_without_the_grid_the_page_says_so_and_draws_nothing(tmp_path: Path) -> None:
    page = report(tmp_path, rows(), ["dense"])
    assert "None of the grid's entries was scored" in page
    assert not list(tmp_path.glob("*.svg"))


def test_a_metric_that_was_not_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="valid/loss"):
        report(tmp_path, rows(), choose_by="valid/loss")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"entries": "lr-{find}"}, "write the values' places into the name"),
        ({"choose_by": "test/accuracy"}, "test data judge, and never choose"),
        ({"values": ["0.1"]}, "values"),
        ({"values": ["0.1", "0.1"]}, "two cells of the grid would have the same name"),
        ({"entries": "lr{find}{evaluate}", "values": ["1", "11"]}, "two cells of the grid would have the same name"),
        ({"name": "../elsewhere"}, "name"),
    ],
)
def test_what_names_no_grid_is_an_error_of_the_file(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        report(tmp_path, rows(), **wrong)
