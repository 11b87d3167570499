import math
from statistics import stdev
from typing import Any

import numpy as np
from leaderboard import boards
from leaderboard.boards import typed_row
from scipy.stats import norm

from prunebench.api.rows import Row
from prunebench.results.tolerance import Tolerance, rules_text, tolerance_of


def row(entry: str, seed: int, value: float | None, **more: Any) -> Row:
    return typed_row(boards.row(entry, seed, 0.5, value, **{"position": "100it", **more}))


def test_the_deviation_is_pooled_over_the_cells_that_have_two_seeds() -> None:
    a, b = [0.90, 0.92, 0.91], [0.80, 0.84, 0.85]
    rows = [row("a", s, v) for s, v in enumerate(a)] + [row("b", s, v) for s, v in enumerate(b)] + [row("c", 0, 0.1)]
    found = tolerance_of(rows, [], "test/accuracy")
    assert math.isclose(found.deviation or 0, math.sqrt((stdev(a) ** 2 + stdev(b) ** 2) / 2))
    assert found.values == 7


def test_what_is_allowed_keeps_the_chance_of_any_false_alarm_at_one_percent() -> None:
    noise = np.random.default_rng(0)
    values, repeats, spread = 40, 4_000, 0.01
    allowed = Tolerance("test/accuracy", spread, values, 0.0).allowed
    assert allowed is not None
    differences = noise.normal(0, spread, (repeats, values)) - noise.normal(0, spread, (repeats, values))
    alarms = (np.abs(differences) > allowed).any(1).mean()
    assert alarms < 0.015
    assert math.isclose(allowed, norm.isf(0.01 / 80) * math.sqrt(2) * spread)


def test_it_is_never_less_than_one_test_image() -> None:
    assert Tolerance("test/accuracy", 0.0, 10, 0.001).allowed == 0.001


def test_one_seed_registers_none_and_the_rules_say_so() -> None:
    found = tolerance_of([row("a", 0, 0.9), row("b", 0, 0.8)], [], "test/accuracy")
    assert found.allowed is None
    assert "there is no tolerance" in rules_text(found, 1, 0.05)
