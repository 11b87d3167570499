import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.estimates import Interval
from prunebench.api.report import draw_curves
from prunebench.api.report.curves import aside, axis_range, banded, panels

from .boards import board, results, row


def picture(rows: list[dict[str, Any]]) -> str:
    return draw_curves(board(rows))


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]


def x_of(svg: str, label: str) -> float:
    for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if "".join(node.itertext()).strip() == label:
            place = node.get("x") or node.get("transform", "").split("translate(")[-1].split()[0].strip("(,")
            return float(place)
    raise AssertionError(f"{label!r} is not in the picture: {texts(svg)}")


def test_text_is_text_and_densities_run_from_dense_to_sparse() -> None:
    svg = picture(results())
    assert {"dense", "imp", "imp-late", "random", "lenet on mnist", "test accuracy, %"} <= set(texts(svg))
    places = [x_of(svg, label) for label in ("100 %", "51.2 %", "26.2 %", "13.4 %", "6.87 %")]
    assert places == sorted(places)
    assert places[0] < places[1]


def test_equal_results_give_equal_bytes_whatever_the_readers_matplotlibrc_says() -> None:
    first = picture(results())
    with mpl.rc_context(
        {"axes.linewidth": 9.0, "xtick.labelsize": "xx-large", "font.size": 30.0, "svg.hashsalt": None}
    ):
        assert picture(results()) == first
    assert "dc:date" not in first


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a|b",
        "`tick`",
        "two\nlines",
        "$x$",
        r"$\frac{1}{",
        "_hidden",
        "a & b",
        "\u202egnp",
        "",
        "名前",
        "\x00\x1b[31m",
        "%s {} \\n",
        "x" * 300,
    ],
)
def test_a_hostile_name_is_drawn_as_text(name: str) -> None:
    svg = picture([{**r, "model": name, "data": name} for r in results(entries=[name, "imp"])])
    assert "<script" not in svg
    if name in ("$x$", r"$\frac{1}{", "_hidden", "a & b", "<script>alert(1)</script>", "名前", "%s {} \\n"):
        assert name in texts(svg)


@pytest.mark.parametrize(
    "rows",
    [
        results(seeds=1),
        results(seeds=2),
        results(densities=[0.1]),
        results(entries=[f"entry-with-a-long-name-{i}" for i in range(30)]),
        [row("dense", 0, 1.0, 0.9)],
        [row("imp", 0, 0.5, 0.9)],
        [row("imp", 0, 0.5, None, outcome="failed")],
        [row("imp", 0, None, None, outcome="failed", role="find")],
        [*results(), *results(model="conv2"), row("imp", 0, 0.5, None, outcome="failed", model="conv6")],
        [row("imp", seed, 0.8**r, 0.5, round=r) for seed in range(3) for r in range(25)],
    ],
    ids=["one seed", "two", "one density", "30 entries", "dense", "a point", "failed", "nothing", "3 panels", "equal"],
)
def test_every_shape_of_results_can_be_drawn(rows: list[dict[str, Any]]) -> None:
    assert picture(rows).startswith("<?xml")


def longest_line(svg: str) -> int:
    """Points of the longest line in the first entry's colour."""
    paths = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
    # only what is drawn inside the axes is clipped: the legend's sample is not
    clipped = [path for path in paths if path.get("clip-path")]
    lines = [path for path in clipped if "fill: none; stroke: #0072b2" in path.get("style", "")]
    return max(len(re.findall("[ML]", path.get("d", ""))) for path in lines)


def test_a_curve_is_not_drawn_across_a_density_where_no_trial_is_ok() -> None:
    rows = [row("imp", 0, density, 0.9) for density in (0.8, 0.6, 0.4, 0.2, 0.1)]
    assert longest_line(picture(rows)) == 5
    broken = [{**r, "outcome": "collapsed"} if r["density"] == 0.4 else r for r in rows]
    assert longest_line(picture(broken)) == 2


def test_a_mean_without_some_trials_is_hollow() -> None:
    rows = [row("imp", seed, density, 0.9) for seed in range(2) for density in (0.5, 0.1)]
    hollow = "fill: #ffffff; stroke: #0072b2"
    assert hollow not in picture(rows)
    assert hollow in picture([*rows, row("imp", 2, 0.1, None, outcome="diverged")])


def spread(*means: float, half: float | None = None) -> list[Interval]:
    return [Interval(m, None if half is None else m - half, None if half is None else m + half, 3) for m in means]


def test_one_collapsed_network_does_not_squash_the_others() -> None:
    low, high = axis_range(spread(98.0, 97.9, 97.5, 97.0, 96.0, 98.2, 97.7, 10.0), higher=True)
    assert 95.5 < low < 96.0
    assert 98.2 < high < 98.7
    low, high = axis_range(spread(0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 40.0), higher=False)
    assert high < 0.2


def test_a_best_value_is_never_left_out() -> None:
    assert axis_range(spread(10.0, 10.1, 10.2, 10.3, 10.1, 10.2, 10.0, 98.0), higher=True)[1] > 98.0


def test_a_curve_that_falls_steadily_is_shown_whole() -> None:
    low, _ = axis_range(spread(98, 97, 94, 90, 80, 70, 60, 50), higher=True)
    assert low < 50


def test_intervals_of_close_means_fit_and_huge_ones_do_not_take_over() -> None:
    low, high = axis_range(spread(98.0, 98.1, half=0.5), higher=True)
    assert low < 97.5 < 98.6 < high
    wide = Interval(96.0, 50.0, 142.0, 2)
    low, high = axis_range([*spread(98.0, 97.0, 95.0, half=0.1), wide], higher=True)
    assert low > 90


def groups(rows: list[dict[str, Any]]) -> Any:
    return board(rows).groups


def overlapping(apart: float) -> list[dict[str, Any]]:
    """Two entries whose means are so far apart, with an interval of about 0.025 on either side."""
    values = {"imp": 0.5, "random": 0.5 + apart}
    return [
        row(entry, seed, density, value + 0.01 * seed, round=round_)
        for entry, value in values.items()
        for seed in (0, 1, 2)
        for round_, density in enumerate((0.5, 0.25, 0.125), 1)
    ]


def test_bands_that_overlap_become_bars_that_stand_beside_one_another() -> None:
    (near,), (far,) = groups(overlapping(0.01)), groups(overlapping(0.3))
    assert not banded(near)
    assert banded(far)
    assert aside(far, "imp") == aside(far, "random") == 1.0
    assert aside(near, "imp") != aside(near, "random")
    # so little that no entry stands nearer to another place than to its own
    for name in ("imp", "random"):
        assert 0.5**0.5 < aside(near, name) < 2**0.5
    assert "fill-opacity" not in draw_curves(board(overlapping(0.01)))
    assert "fill-opacity" in draw_curves(board(overlapping(0.3)))


@given(st.integers(1, 40))
@settings(deadline=None, max_examples=12)
def test_every_entry_is_in_one_panel_and_dense_ones_in_all(count: int) -> None:
    rows = [row("dense", 0, 1.0, 0.9), *(row(f"entry-{i}", 0, d, 0.5) for i in range(count) for d in (0.5, 0.25))]
    (group,) = groups(rows)
    shown = panels(group)
    assert all(names[0] == "dense" and 1 <= len(names) - 1 <= 9 for names in shown)
    assert [name for names in shown for name in names[1:]] == list(group.order)
    sizes = [len(names) for names in shown]
    assert max(sizes) - min(sizes) <= len(sizes)
