from pathlib import Path

from leaderboard.boards import lines_of, made, row

from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager


def report(folder: Path, rows: list[dict[str, object]], use: object = "early-stopping") -> None:
    catalogue = Catalogue.load()
    results, board = made(rows, entries=["dense", "imp"], metric=str(f"{rows[0]['split']}/{rows[0]['metric']}"))
    used = catalogue.use({"use": use}, slot="report", where="report.also")
    run_manager([used]).hook.prunebench_report(results=results, board=board, folder=folder)


def measured(metric: str, split: str, dense: float, imp: float, unit: str) -> list[dict[str, object]]:
    named = {"metric": metric, "split": split, "unit": unit}
    return [
        one
        for seed in range(3)
        for one in (
            row("dense", seed, 1.0, dense, **named),
            row("imp", seed, 0.5, imp + seed * (10 if unit == "it" else 0.001), **named),
        )
    ]


def test_each_measurement_has_a_table_and_a_picture(tmp_path: Path) -> None:
    rows = [
        *measured("early_stop_iteration", "valid", 900.0, 490.0, "it"),
        *measured("early_stop_accuracy", "test", 0.9, 0.95, "fraction"),
        *measured("accuracy", "train", 0.99, 0.999, "fraction"),
    ]
    report(tmp_path, rows)
    page = (tmp_path / "early-stopping.md").read_text()
    titles = ("Iteration of early stopping", "Test accuracy at early stopping", "Train accuracy at the end of training")
    places = [page.index(f"## {title}") for title in titles]
    assert places == sorted(places)
    assert "500 ± 25" in page
    assert "95.10 ± 0.25" in page
    assert "lowest first" in page
    pictures = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert pictures == [
        "early-stopping-test-early-stop-accuracy.svg",
        "early-stopping-train-accuracy.svg",
        "early-stopping-valid-early-stop-iteration.svg",
    ]
    assert all(f"({name})" in page and (tmp_path / name).read_text().startswith("<?xml") for name in pictures)


def test_entries_meet_at_the_cost_that_the_board_compares_at(tmp_path: Path) -> None:
    named = {"metric": "early_stop_accuracy", "split": "test"}
    rows = [row("dense", 0, 1.0, 0.9, density_macs=1.0, **named)]
    # weights at density 0.2 and channels at density 0.6 save the same
    rows += [row("weights", seed, 0.2, 0.80, density_macs=0.5, **named) for seed in range(2)]
    rows += [row("channels", seed, 0.6, 0.70, density_macs=0.5, **named) for seed in range(2)]
    entries = ["dense", "weights", "channels"]
    results, board = made(
        rows, entries=entries, metric="test/early_stop_accuracy", axis="density_macs", at=[0.5], against=None
    )
    used = Catalogue.load().use({"use": "early-stopping"}, slot="report", where="report.also")
    run_manager([used]).hook.prunebench_report(results=results, board=board, folder=tmp_path)
    page = (tmp_path / "early-stopping.md").read_text()
    head, _, *lines = lines_of(page)
    assert head[-1] == "50.0 %"
    shown = {line[1]: line[-1].split()[0] for line in lines}
    assert (shown["weights"], shown["channels"]) == ("80.00", "70.00")
    assert "60.0 %" not in page


def test_another_tasks_metric_takes_the_place_of_accuracy(tmp_path: Path) -> None:
    report(tmp_path, measured("early_stop_perplexity", "test", 3.0, 4.0, ""))
    page = (tmp_path / "early-stopping.md").read_text()
    assert "## Test perplexity at early stopping" in page
    assert "accuracy" not in page


def test_where_it_was_not_measured_the_page_says_what_it_needs(tmp_path: Path) -> None:
    report(tmp_path, measured("accuracy", "test", 0.9, 0.95, "fraction"))
    page = (tmp_path / "early-stopping.md").read_text()
    assert "it needs `measure.every`" in page
    assert "## Test accuracy at the end of training" in page
    assert not list(tmp_path.glob("*early-stop-*"))


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report(tmp_path / name, measured("early_stop_accuracy", "valid", 0.9, 0.95, "fraction"))
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
