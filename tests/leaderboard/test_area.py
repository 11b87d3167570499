from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from prunebench.leaderboard.area import area, area_table, areas
from prunebench.leaderboard.cells import group_rows
from prunebench.leaderboard.metrics import metric_of

from .boards import results, row

ACCURACY = metric_of("test/accuracy", "fraction")
curves = st.dictionaries(st.floats(0.01, 1.0).map(lambda d: round(d, 3)), st.floats(0.0, 1.0), min_size=2, max_size=9)


@settings(deadline=None)
@given(curves)
def test_the_area_is_the_trapezoids_over_log_density(values: dict[float, float]) -> None:
    densities = np.array(sorted(values))
    expected = trapezoid([values[d] for d in densities], np.log(densities)) / log(densities[-1] / densities[0])
    assert area(values) == pytest.approx(expected)
    assert min(values.values()) - 1e-9 <= area(values) <= max(values.values()) + 1e-9


def test_a_constant_curve_has_its_value_as_area_and_halving_steps_weigh_alike() -> None:
    assert area({0.5: 0.9, 0.1: 0.9}) == pytest.approx(0.9)
    assert area({0.8: 1.0, 0.4: 0.0, 0.2: 0.0}) == pytest.approx(0.25)


def test_only_seeds_with_every_shared_density_have_an_area() -> None:
    rows = [row("imp", seed, density, 0.9) for seed in range(3) for density in (0.5, 0.1)]
    rows[-1] = row("imp", 2, 0.1, None, outcome="diverged")
    assert list(areas(group_rows(rows, "test/accuracy", ())[0], "imp", (0.5, 0.1))) == [0, 1]


def test_the_table_uses_only_densities_that_all_ranked_entries_share() -> None:
    rows = [row(entry, seed, d, 0.9) for entry in "ab" for seed in range(2) for d in (0.5, 0.25)]
    rows += [row("a", seed, 0.1, 0.1) for seed in range(2)]
    text = area_table(group_rows(rows, "test/accuracy", ())[0], ACCURACY, 0.05)
    assert "through the 2 densities below 100 % shared by all ranked entries (50.0 % to 25.0 %)" in text
    assert text.count("90.00 ± 0.00") == 2


def test_one_density_has_no_area_and_one_seed_has_no_interval() -> None:
    lone = group_rows(results(densities=[0.5]), "test/accuracy", ())[0]
    assert area_table(lone, ACCURACY, 0.05).startswith("None: an area needs two densities")
    single = area_table(group_rows(results(seeds=1), "test/accuracy", ())[0], ACCURACY, 0.05)
    assert "±" not in single.split("\n\n")[1]
