from pathlib import Path

import torch
from engine.toy_runs import Workshop, rows, run

from prunebench import ComponentConfig
from prunebench.api.masks import Mask, Scores
from prunebench.testing import SelectContract, toy_chain, two_layer_net, weight_units
from prunebench_plugins.selection.uniform import Uniform


class TestUniform(SelectContract):
    component = {"use": "uniform"}


UNITS = weight_units(two_layer_net())


def select(scores: Scores, count: int, mask: Mask | None = None) -> Mask:
    return Uniform(ComponentConfig()).prunebench_select(scores, UNITS, mask or Mask.full(UNITS.layers), count)


def test_every_layer_has_the_same_density_however_its_scores_compare() -> None:
    scores = Scores((torch.arange(48.0), 1_000 + torch.arange(18.0)))
    chosen = select(scores, 22)
    assert chosen.counts == (16, 6)  # a third of each
    assert chosen.keep[0].nonzero().flatten().tolist() == list(range(32, 48))
    assert chosen.keep[1].nonzero().flatten().tolist() == list(range(12, 18))


def test_the_densities_stay_equal_from_round_to_round() -> None:
    scores = Scores((torch.rand(48), torch.rand(18)))
    mask = Mask.full(UNITS.layers)
    for round_ in range(1, 12):
        count = round(0.8**round_ * 66)
        mask = select(scores, count, mask)
        shares = [layer.count * count / 66 for layer in UNITS.layers]
        assert all(abs(kept - share) < 1 for kept, share in zip(mask.counts, shares, strict=True))


def test_the_count_is_that_of_a_global_cut_and_not_a_sum_of_rounded_layers() -> None:
    of = {s: toy_chain(8, changes={"entry": [{"name": "imp", "select": s}]})[0] for s in ("uniform", "layerwise")}
    assert of["uniform"].counts == tuple(round(0.8**r * 66) for r in range(9))
    assert of["uniform"].counts != of["layerwise"].counts


def test_a_chain_is_pruned_uniformly_by_the_engine(tmp_path: Path) -> None:
    changes = {"entry": [{"name": "imp", "select": "uniform"}]}
    outcome = run(tmp_path, changes, rounds=3)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    workshop = Workshop(tmp_path, changes, rounds=3)
    masks = [workshop.mask(ticket.mask) for ticket in workshop.chain.tickets[1:] if ticket.mask is not None]
    # 53, 42 and 34 of 66 in 48 + 18: by hand.
    assert [mask.counts for mask in masks] == [(39, 14), (31, 11), (25, 9)]
