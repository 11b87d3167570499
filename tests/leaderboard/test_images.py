import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prunebench.api.board import Group
from prunebench.leaderboard.correct import image_scores
from prunebench.leaderboard.readme.images import image_tables

from . import boards
from .boards import row, typed_detail

IMAGES = 203


def judged(entry: str, seed: int, right: NDArray[np.bool_], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row and its detail that agree."""
    density = 1.0 if entry == "dense" else 0.5
    one = row(entry, seed, density, int(right.sum()) / right.size, **changes)
    packed = base64.b64encode(np.packbits(right).tobytes()).decode()
    named = {name: one[name] for name in ("entry", "model", "data", "seed", "round", "draw")}
    more = {"key": "", "start": 0, "stop": 1000, "layers": [], "curve": [], "artifacts": {}}
    return one, {**named, **more, "kind": "evaluation", "hits": packed}


def made(seeds: int = 3, draws: int = 1) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    noise = np.random.default_rng(2)
    pairs = [
        judged(entry, seed, noise.random(IMAGES) < share, draw=draw)
        for entry, share in (("dense", 0.9), ("imp", 0.8))
        for seed in range(seeds)
        for draw in range(draws)
    ]
    return [one for one, _ in pairs], [detail for _, detail in pairs]


def group_of(rows: list[dict[str, Any]], details: list[dict[str, Any]]) -> Group:
    return boards.group(rows, details=details, entries=("dense", "imp"))


def text(rows: list[dict[str, Any]], details: list[dict[str, Any]], **report: Any) -> str:
    board = boards.board(rows, details=details, entries=("dense", "imp"), **report)
    return image_tables(board.groups[0], board)


def test_hits_are_of_the_metric_that_the_task_is_judged_by_whatever_it_is_called() -> None:
    rows, details = made()
    named = [{**one, "metric": "exact_match"} for one in rows]
    of_task = {"metrics": {"exact_match": {"unit": "fraction", "higher": True}}, "primary": "exact_match"}
    provenance = {**boards.PROVENANCE, **of_task}
    board = boards.board(
        named, details=details, entries=("dense", "imp"), provenance=provenance, metric="test/exact_match"
    )
    assert board.groups[0].images is not None
    assert board.groups[0].images.count == IMAGES
    losses = [{**one, "metric": "loss", "unit": "nats"} for one in rows]
    other = boards.board(losses, details=details, entries=("dense", "imp"), provenance=provenance, metric="test/loss")
    assert other.groups[0].images is None
    assert "None: only test/exact_match records" in image_tables(other.groups[0], other)


def test_hits_give_back_which_images_are_right_and_how_many_there_are() -> None:
    rows, details = made(draws=2)
    group = group_of(rows, details)
    assert group.images is not None
    assert (group.images.count, group.images.whole) == (IMAGES, True)
    cells = {(name, place): cell for name, entry in group.entries.items() for place, cell in entry.cells.items()}
    scores = image_scores(cells, [typed_detail(line) for line in details], "lenet", "mnist")
    assert sorted(scores) == sorted(cells)
    for at, cell in cells.items():
        assert cell.over_images is not None
        assert cell.over_images.mean == pytest.approx(sum(cell.values.values()) / cell.n)
        for seed, value in cell.values.items():
            assert scores[at][seed].shape == (IMAGES,)
            assert scores[at][seed].mean() == pytest.approx(value)
            assert set(np.unique(scores[at][seed])) <= {0.0, 0.5, 1.0}


@pytest.mark.parametrize("hits", [None, "not base64!", "", "AAAA", "//8="])
def test_a_cell_with_a_run_whose_hits_are_absent_or_do_not_give_its_value_has_no_interval_over_images(
    hits: Any,
) -> None:
    rows, details = made()
    details[0]["hits"] = hits
    group = group_of(rows, details)
    assert group.at("dense", 1.0).over_images is None
    assert group.at("imp", 0.5).over_images is not None
    assert "Some cells have no interval over images" in text(rows, details)


def test_without_hits_the_page_says_so() -> None:
    rows, details = made()
    for detail in details:
        detail["hits"] = None
    assert text(rows, details).startswith("None: `details.jsonl` does not have which test images")
    assert text(rows, []).startswith("None: ")


def test_a_metric_that_hits_are_not_of_has_none() -> None:
    rows, details = made()
    losses = [{**one, "metric": "loss", "unit": "nats", "value": one["value"] / 3} for one in rows]
    assert text([*rows, *losses], details, metric="test/loss").startswith("None: ")


def test_both_intervals_stand_beside_each_other_for_values_and_differences() -> None:
    shown = text(*made())
    assert "bootstrap of the 203 test images with 2,000 resamples" in shown
    assert shown.count("| images |") == 3
    assert "Difference to dense, percentage points, paired by seed or by image:" in shown


def test_one_seed_has_an_interval_over_images_and_none_over_seeds() -> None:
    lines = [line for line in text(*made(seeds=1)).splitlines() if line.startswith("| imp ")]
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["imp", "seeds", "–", "–"]


def test_networks_that_have_every_image_wrong_still_have_a_size() -> None:
    pairs = [judged("imp", seed, np.zeros(IMAGES, bool)) for seed in range(2)]
    rows, details = [one for one, _ in pairs], [detail for _, detail in pairs]
    assert "0.00 to 0.00" in text(rows, details, against=None)
