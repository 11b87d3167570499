"""A round that removed no unit is the network before it, trained once more: no place, no draw, no vote."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prunebench.api.rows import Row
from prunebench.commands.terminal.landing import remarks_on
from prunebench.leaderboard.tickets import same_again, tickets_of
from prunebench.runner.landing import Landing, Lying

from .boards import board, row


def rounds(entry: str, seed: int, *steps: tuple[float, float], **changes: Any) -> list[dict[str, Any]]:
    """Judged rounds, from the first on: (density, accuracy) each."""
    return [row(entry, seed, density, value, round=n, **changes) for n, (density, value) in enumerate(steps, 1)]


def rows_of(made: list[dict[str, Any]]) -> list[Row]:
    return [Row(**one) for one in made]


def test_of_equal_networks_the_first_round_counts_and_the_board_says_so() -> None:
    made = [
        line
        for seed in range(3)
        for line in (
            *rounds("few", seed, (0.8, 0.90), (0.8, 0.10), (0.8, 0.99), (0.6, 0.5)),
            *rounds("many", seed, (0.8, 0.80), (0.6, 0.6)),
        )
    ]
    shown = board(made, entries=("few", "many"))
    cell = shown.groups[0].entries["few"].at(0.8)
    assert cell.values == dict.fromkeys(range(3), 0.90)
    assert not cell.draws
    (note,) = (note for note in shown.notes if note.startswith("few: rounds that removed no unit"))
    assert "2 and 3, which are the network of round 1." in note


def test_a_round_that_removed_nothing_at_all_is_the_dense_network_and_stands_at_no_place() -> None:
    made = [line for seed in range(3) for line in rounds("few", seed, (1.0, 0.99), (0.5, 0.5))]
    made += [line for seed in range(3) for line in rounds("many", seed, (0.5, 0.6))]
    shown = board(made, entries=("few", "many"))
    assert [column.place for column in shown.groups[0].columns] == [0.5]
    assert any("1, which is the network of round 0" in note for note in shown.notes)


def test_on_an_axis_of_a_cost_two_places_do_not_have_two_values_of_one_network() -> None:
    made = []
    for seed in range(3):
        cut = rounds("few", seed, (0.75, 0.9), (0.75, 0.1), (0.5, 0.4))
        for line, asked in zip(cut, (0.8, 0.7, 0.5), strict=True):
            made.append({**line, "density_macs": line["density"], "asked_macs": asked})
    shown = board(made, entries=("few",), axis="density_macs", at=[0.8, 0.7, 0.5])
    values = {place: cell.values.get(0) for place, cell in shown.groups[0].entries["few"].cells.items() if place < 1}
    assert 0.1 not in values.values()
    assert values[0.5] == 0.4


def test_a_repeated_round_that_broke_is_not_taken_away() -> None:
    made = rounds("few", 0, (0.8, 0.9), (0.6, 0.5))
    made.append(row("few", 0, 0.8, None, round=3, outcome="diverged"))
    assert not same_again(rows_of(made))


@given(st.lists(st.sampled_from([1.0, 0.9, 0.5, 0.25]), min_size=1, max_size=8), st.integers(0, 2))
def test_each_network_of_a_draw_is_left_once(densities: list[float], draw: int) -> None:
    densities.sort(reverse=True)
    made = rows_of(rounds("few", 0, *((density, 0.5) for density in densities), draw=draw))
    left = [ticket.density for ticket in tickets_of(made, "test/accuracy")]
    assert sorted(left) == sorted(set(densities) - {1.0})
    assert len(same_again(made)) == len(densities) - len(left)


def test_plan_and_check_say_it_before_anything_trains() -> None:
    tickets = (Lying(1.0, 1.0, dense=True), Lying(0.8, 0.8), Lying(0.8, 0.8), Lying(0.6, 0.6))
    said = list(remarks_on([Landing("few", "lenet", "mnist", tickets)], "density"))
    assert len(said) == 1
    assert "1 of its 4 judged rounds remove no unit" in said[0]
    assert not list(remarks_on([Landing("few", "lenet", "mnist", tickets[:2])], "density"))
