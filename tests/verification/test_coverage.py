from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.verification.coverage import Coverage, chance_to_miss, draw
from prunebench.verification.rerun import _rectangles

CELLS = frozenset((entry, seed) for entry in ("imp", "late", "random") for seed in (0, 1, 2))


@given(st.integers(0, 4), st.integers(0, 6))
def test_the_chance_to_miss_is_the_share_of_the_samples_that_miss(forged: int, drawn: int) -> None:
    samples = list(combinations(range(6), drawn))
    missed = sum(not set(sample) & set(range(forged)) for sample in samples)
    assert chance_to_miss(forged, drawn, 6) == pytest.approx(missed / len(samples))


def test_a_tier_is_named_after_what_it_covers() -> None:
    some = frozenset([("imp", 0), ("late", 2)])
    assert Coverage(CELLS, CELLS).tier == "re-executed"
    assert Coverage(some, CELLS, drawn=True).tier == "re-executed by sample"
    assert Coverage(some, CELLS).tier == "partly re-executed"
    assert Coverage(frozenset(), CELLS).tier == "not re-executed"


def test_one_entry_and_one_seed_is_never_called_re_executed() -> None:
    text = Coverage(frozenset([("imp", 0)]), CELLS, numbers=10, of=780).text
    assert text.startswith(
        "Partly re-executed: 10 of 780 numbers, 1 of 9 pairs of entry and seed, chosen by hand: imp:0"
    )


def test_a_sample_states_its_chances() -> None:
    sample = Coverage(frozenset([("imp", 0), ("late", 2), ("random", 1)]), CELLS, True, 30, 90)
    assert (sample.missed_entry, sample.missed_cell) == (pytest.approx(20 / 84), pytest.approx(6 / 9))
    assert "missed with a chance of 24 %, one that is forged in a single seed with 67 %" in sample.text


def test_each_draw_is_another_and_none_repeats_a_cell() -> None:
    many = frozenset((entry, seed) for entry in "abcdefgh" for seed in range(8))
    draws = {draw(many, 6) for _ in range(20)}
    assert len(draws) == 20
    assert all(len(cells) == 6 and cells <= many for cells in draws)
    assert draw(many, 1000) == many


@given(st.sets(st.sampled_from(sorted(CELLS))))
def test_cells_are_run_once_each_in_groups_that_one_command_can_run(cells: set[tuple[str, int]]) -> None:
    groups = _rectangles(sorted(cells))
    assert sorted(cell for group in groups for cell in group) == sorted(cells)
    for group in groups:
        assert len(group) == len({entry for entry, _ in group}) * len({seed for _, seed in group})


@pytest.mark.parametrize(("entries", "seeds", "drawn"), [(6, 3, 6), (4, 5, 3), (2, 3, 1), (12, 1, 4)])
def test_the_stated_chances_are_how_often_drawing_misses(entries: int, seeds: int, drawn: int) -> None:
    """Drawn as a verification draws, again and again; within five standard deviations of the stated chance."""
    cells = frozenset((f"entry-{entry}", seed) for entry in range(entries) for seed in range(seeds))
    forged_entry, forged_cell = "entry-0", ("entry-1", 0)
    times, missed_entry, missed_cell = 4_000, 0, 0
    for _ in range(times):
        sample = draw(cells, drawn)
        missed_entry += all(entry != forged_entry for entry, _ in sample)
        missed_cell += forged_cell not in sample
    stated = Coverage(draw(cells, drawn), cells, drawn=True)
    for missed, chance in ((missed_entry, stated.missed_entry), (missed_cell, stated.missed_cell)):
        assert abs(missed / times - chance) <= 5 * (chance * (1 - chance) / times) ** 0.5


def test_an_entry_of_few_seeds_is_the_one_that_the_chance_is_stated_for() -> None:
    cells = frozenset({("often", seed) for seed in range(9)} | {("once", 0)})
    stated = Coverage(frozenset({("often", 0), ("often", 1)}), cells, drawn=True)
    assert stated.missed_entry == stated.missed_cell == pytest.approx(0.8)
