from prunebench.leaderboard.cells import group_rows
from prunebench.leaderboard.metrics import metric_of
from prunebench.leaderboard.outcomes import outcomes_tables

from .boards import results, row

ACCURACY = metric_of("test/accuracy", "fraction")


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_outcomes_are_counted_by_entry_and_collapsed_trials_have_a_table_that_counts_them_in() -> None:
    rows = [row("imp", seed, 0.5, 0.9) for seed in range(2)]
    rows += [row("imp", 2, 0.5, 0.1, outcome="collapsed"), row("imp", 3, 0.5, None, outcome="diverged")]
    rows += [row("random", seed, 0.5, 0.8) for seed in range(4)]
    rows += [row("gone", 0, None, None, role="find", outcome="failed")]
    lines = cells(outcomes_tables(group_rows(rows, "test/accuracy", ())[0], ACCURACY, 0.05))
    assert ["imp", "4", "2", "1", "1", "0"] in lines
    assert ["random", "4", "4", "0", "0", "0"] in lines
    assert ["gone", "1", "0", "0", "0", "1"] in lines
    assert ["imp", "63.33 ± 114.74 (n=3, 1 collapsed)"] in lines
    assert ["random", "80.00 ± 0.00"] in lines


def test_without_a_collapsed_trial_there_are_only_counts() -> None:
    rows = [*results(), row("imp", 9, 0.512, None, outcome="failed")]
    text = outcomes_tables(group_rows(rows, "test/accuracy", ())[0], ACCURACY, 0.05)
    assert "as some papers report" not in text
    assert "| tried |" in text


def test_when_every_trial_is_ok_the_section_says_so() -> None:
    group = group_rows(results(), "test/accuracy", ())[0]
    assert outcomes_tables(group, ACCURACY, 0.05).startswith("None: every trial is ok")
