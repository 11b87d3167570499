from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from prunebench.stats.area import area, areas

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


def test_only_seeds_with_every_density_have_an_area() -> None:
    assert list(areas({0.5: {0: 0.9, 1: 0.9, 2: 0.9}, 0.1: {0: 0.9, 1: 0.9}})) == [0, 1]
