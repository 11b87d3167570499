from __future__ import annotations

import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench.api.masks import Mask
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.analyses.cost import Cost, CostConfig, size


class TestCost(AnalyseContract):
    component = {"use": "cost", "repeats": 3, "warm": 1}

    def inputs(self) -> Inputs:
        model = self.model()
        mask = some_mask(self.units(model), 20)
        state = dict(model.state_dict())
        return {"tickets": (Optimum(state, None, 0), Optimum(state, mask, 1))}

    def test_what_is_counted_falls_with_the_density_and_what_is_timed_is_marked(self) -> None:
        found = {(m.metric, m.round): m for m in self.analysed(self.inputs()).measurements}
        assert [found["parameters", r].value for r in (0, 1)] == [75, 75 - 46]
        assert [found["macs", r].value for r in (0, 1)] == [66, 20]
        assert found["bytes", 1].value < found["bytes", 0].value == 4 * 75
        timed = {m.metric for m in found.values() if not m.exact}
        assert timed == {"load", *(f"{kind}/batch-{n}" for kind in ("latency", "speedup") for n in (1, 64))}
        assert all(value.value > 0 for value in found.values() if value.metric != "load")

    def test_the_dense_network_is_timed_beside_each_and_reported_where_nothing_is_pruned(self) -> None:
        dense, ticket = self.inputs()["tickets"]
        alone = {(m.metric, m.round) for m in self.analysed({"tickets": (dense,)}).measurements}
        both = {(m.metric, m.round) for m in self.analysed({"tickets": (dense, ticket)}).measurements}
        assert ("latency/batch-1", 0) in alone
        assert ("latency/batch-1", 0) not in both
        assert {("latency/batch-1", 1), ("speedup/batch-1", 1)} <= both

    def test_from_six_passes_on_a_median_has_an_interval(self) -> None:
        net, cost = self.model().eval(), Cost(CostConfig(repeats=8, warm=1))
        example = self.task().example(self.data().info)
        found = {(m.metric, m.round): m.value for m in cost._timed(net, {1: net}, 1, example)}
        for kind in ("latency", "speedup"):
            low, middle, high = (found[f"{kind}/batch-1{end}", 1] for end in ("/low", "", "/high"))
            assert 0 < low <= middle <= high


def test_a_mask_is_stored_only_where_it_pays() -> None:
    net = two_layer_net()
    units = weight_units(net)
    keep = torch.ones(units.count, dtype=torch.bool)
    keep[0] = False
    mask = Mask.from_flat(keep, units.layers)
    # One weight saves 4 bytes and its layer's mask takes 6: nothing is won.
    assert size(net, units, mask) == size(net, units, None)
    assert size(net, units, some_mask(units, 20)) == 4 * 75 - (4 * 46 - 48 // 8 - (18 + 7) // 8)


def test_buffers_count_too() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert size(net, weight_units(net), None) == 4 * (6 + 3 + 3 + 3 + 3 + 3) + 8


def test_rows_that_a_clock_gave_say_so(tmp_path) -> None:  # type: ignore[no-untyped-def]
    entry = {"name": "imp", "analyse": [{"use": "cost", "repeats": 3, "warm": 1}]}
    outcome = run(tmp_path, entry=[entry])
    found = rows(outcome, role="analyse")
    assert {row["metric"] for row in found if row.get("exact") is False} == {
        row["metric"] for row in found if row["metric"].split("/")[1] in ("latency", "speedup", "load")
    }
