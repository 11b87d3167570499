from prunebench.leaderboard.readme.outcomes import outcomes_tables

from .boards import board, lines_of, results, row


def text(rows: list[dict[str, object]]) -> str:
    found = board(rows)
    return outcomes_tables(found.groups[0], found)


def test_outcomes_are_counted_by_entry_and_collapsed_trials_have_a_table_that_counts_them_in() -> None:
    rows = [row("imp", seed, 0.5, 0.9) for seed in range(2)]
    rows += [row("imp", 2, 0.5, 0.1, outcome="collapsed"), row("imp", 3, 0.5, None, outcome="diverged")]
    rows += [row("random", seed, 0.5, 0.8) for seed in range(4)]
    rows += [row("gone", 0, None, None, role="find", outcome="failed")]
    lines = lines_of(text(rows))
    assert ["imp", "4", "2", "1", "1", "0"] in lines
    assert ["random", "4", "4", "0", "0", "0"] in lines
    assert ["gone", "1", "0", "0", "0", "1"] in lines
    assert ["imp", "63.33 [0.00, 100.00] (n=3, 1 collapsed)"] in lines
    assert ["random", "80.00 ± 0.00"] in lines


def test_without_a_collapsed_trial_there_are_only_counts() -> None:
    rows = [*results(), row("imp", 9, 0.512, None, outcome="failed")]
    assert "as some papers report" not in text(rows)
    assert "| tried |" in text(rows)


def test_when_every_trial_is_ok_the_section_says_so() -> None:
    assert text(results()).startswith("None: every trial is ok")
