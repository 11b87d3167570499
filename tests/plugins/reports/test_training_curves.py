import re
from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import made, row

from prunebench.api.errors import ConfigError
from prunebench.api.metric import metric_of
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench_plugins.reports.training_curves import of_entries

CATALOGUE = Catalogue.load()


def line(entry: str, seed: int, kept: int | None, values: list[float | None], draw: int = 0) -> dict[str, Any]:
    """A line of details.jsonl: a run of 100 units in two layers, measured every ten iterations."""
    counts = (None, None) if kept is None else (kept // 2, kept - kept // 2)
    return {
        "kind": "evaluation",
        "entry": entry,
        "model": "lenet",
        "data": "mnist",
        "seed": seed,
        "round": 0 if kept is None else 1,
        "draw": draw,
        "key": "0" * 64,
        "start": 0,
        "stop": 0,
        "artifacts": {},
        "layers": [{"name": name, "units": 50, "kept": count} for name, count in zip("ab", counts, strict=True)],
        "curve": [{"iteration": 10 * at, "test/accuracy": value} for at, value in enumerate(values)],
    }


def draw(folder: Path, details: list[dict[str, Any]], **config: Any) -> str:
    rows = [row("dense", 0, 1.0, 0.9), row("imp", 0, 0.5, 0.9)]
    results, board = made(rows, entries=["dense", "imp"], details=details)
    use = CATALOGUE.use({"use": "training-curves", **config}, slot="report", where="report.also")
    run_manager([use]).hook.prunebench_report(results=results, board=board, folder=folder)
    picture = folder / "training-curves.svg"
    return picture.read_text() if picture.exists() else ""


DETAILS = [
    *(line("dense", seed, None, [0.1, 0.8, 0.9 + seed / 100]) for seed in range(3)),
    *(line("imp", seed, kept, [0.1, 0.7, kept / 100]) for seed in range(3) for kept in (80, 50)),
]


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_values_are_gathered_by_density_iteration_and_seed_with_their_draws() -> None:
    details = [line("imp", 0, 50, [0.1, 0.4]), line("imp", 0, 50, [0.1, 0.6], draw=1), line("imp", 1, 50, [None, 0.5])]
    results, _ = made([row("imp", 0, 0.5, 0.9)], details=details)
    found = of_entries(results, metric_of("test/accuracy", "fraction"), "density")
    assert found == {("lenet on mnist", "imp"): {0.5: {0: {0: [10.0, 10.0]}, 10: {0: [40.0, 60.0], 1: [50.0]}}}}


def test_on_a_cost_axis_a_round_lies_where_its_tickets_lie_on_average() -> None:
    rows = [row("imp", seed, 0.5, 0.9, density_macs=0.6 + seed / 10) for seed in range(2)]
    results, _ = made(rows, details=[line("imp", seed, 50, [0.1]) for seed in range(2)])
    (curves,) = of_entries(results, metric_of("test/accuracy", "fraction"), "density_macs").values()
    assert list(curves) == [pytest.approx(0.65)]


def test_each_entry_has_a_panel_and_each_density_a_name(tmp_path: Path) -> None:
    said = texts(draw(tmp_path, DETAILS))
    assert {"dense", "imp", "100 %", "80.0 %", "50.0 %", "test/accuracy, %"} <= set(said)


def test_entries_and_densities_may_be_chosen(tmp_path: Path) -> None:
    said = texts(draw(tmp_path, DETAILS, entries=["imp"], densities=[0.5]))
    assert {"imp", "50.0 %"} <= set(said)
    assert not {"dense", "100 %", "80.0 %"} & set(said)


def test_at_most_six_densities_are_drawn_unless_they_are_stated(tmp_path: Path) -> None:
    details = [line("imp", 0, kept, [0.1, 0.7]) for kept in range(20, 100, 2)]
    said = texts(draw(tmp_path, details))
    assert sum(text[0].isdigit() and text.endswith(" %") for text in said) == 6
    assert {"98.0 %", "20.0 %"} <= set(said)


def test_nothing_is_drawn_where_nothing_was_kept(tmp_path: Path) -> None:
    assert draw(tmp_path, []) == ""
    assert draw(tmp_path, DETAILS, densities=[0.01]) == ""


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    assert draw(tmp_path, DETAILS) == draw(tmp_path, DETAILS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"metric": "test/early_stop_accuracy"}, 'curves have "SPLIT/accuracy"'),
        ({"densities": [50.0]}, "50.0 is not a density"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_of_the_file(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        draw(tmp_path, DETAILS, **wrong)
