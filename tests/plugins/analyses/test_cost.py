from __future__ import annotations

import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench.api.masks import Mask
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import AnalyseContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.analyses.cost import size


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
        assert timed == {f"latency/batch-{n}{q}" for n in (1, 64) for q in ("", "/quartile-1", "/quartile-3")}
        for batch in (1, 64):
            low, middle, high = (
                found[f"latency/batch-{batch}{q}", 1].value for q in ("/quartile-1", "", "/quartile-3")
            )
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
        row["metric"] for row in found if "latency" in row["metric"]
    }
