from __future__ import annotations

import sys

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask
from prunebench.api.tickets import Inputs, Optimum
from prunebench.kernels.hardware import processor_name
from prunebench.testing import AnalyseContract, some_mask, two_layer_net, weight_units
from prunebench.testing.contract import installed
from prunebench_plugins.analyses._other_kernels import Prepared, near, no_onnx, with_tensor_cores
from prunebench_plugins.analyses._sparse_kernels import CsrConv2d, CsrLinear, sparse
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

    def test_a_row_of_dense_kernels_names_them_and_the_hardware(self) -> None:
        found = {(m.metric, m.round): m for m in self.analysed(self.inputs()).measurements}
        threads = torch.get_num_threads()
        told = f"ms, dense kernels, {processor_name()}, {threads} thread" + ("s" if threads > 1 else "")
        assert found["latency/batch-64", 1].unit == told


def test_the_share_of_the_dense_networks_time_is_that_of_the_passes_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench_plugins.analyses import _sparse_kernels, cost

    # Passes take 8 ms and more as the machine is busier; each network is twice as slow beside a slow one.
    monkeypatch.setattr(
        cost, "in_turn", lambda *rest: ([2.0, 6.0, 2.0, 40.0, 2.0, 8.0], [4.0, 12.0, 4.0, 80.0, 4.0, 16.0])
    )
    monkeypatch.setattr(_sparse_kernels, "with_best_kernels", lambda model, *rest: (model, 1, 2))
    net = two_layer_net().eval()
    rows = list(Cost(CostConfig(batches=(4,)))._sparse(net, net, torch.zeros(1, 1, 2, 4), 3))
    found = {row.metric: row.value for row in rows}
    assert found["latency_share"] == found["latency_share/low"] == found["latency_share/high"] == 0.5
    assert (
        found["latency/best/batch-4/low"] <= found["latency/best/batch-4"] == 4.0 <= found["latency/best/batch-4/high"]
    )


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


class TestCostWithSparseKernels(AnalyseContract):
    component = {"use": "cost", "repeats": 3, "warm": 1, "batches": [4], "kernels": ["dense", "csr"]}

    def inputs(self) -> Inputs:
        model = self.model()
        state = dict(model.state_dict())
        return {"tickets": (Optimum(state, None, 0), Optimum(state, some_mask(self.units(model), 20), 1))}

    def test_the_unit_names_kernel_and_hardware_and_the_share_is_of_the_dense_network(self) -> None:
        found = {(m.metric, m.round): m for m in self.analysed(self.inputs()).measurements}
        for round in (0, 1):
            assert "CSR in " in found["latency/best/batch-4", round].unit
            assert " thread" in found["latency/best/batch-4", round].unit
            share = found["latency_share", round]
            assert not share.exact
            assert share.value > 0
            assert share.unit.startswith("of the dense network, batch 4, CSR in ")


@pytest.mark.slow  # each analysis writes three networks as ONNX
class TestCostInOtherRuntimes(AnalyseContract):
    component = {"use": "cost", "repeats": 6, "warm": 1, "batches": [4], "kernels": ["dense", "onnxruntime", "2:4"]}

    def inputs(self) -> Inputs:
        state = dict(self.model().state_dict())
        return {"tickets": (Optimum(state, None, 0), Optimum(state, some_mask(self.units(self.model()), 20), 1))}

    def test_each_row_names_its_kernel_and_what_cannot_be_timed_says_why(self) -> None:
        found = {(m.metric, m.round): m for m in self.analysed(self.inputs()).measurements}
        for round in (0, 1):
            row = found["latency/onnxruntime/batch-4", round]
            assert not row.exact
            assert row.value > 0
            assert "ONNX Runtime, " in row.unit
            assert " thread" in row.unit
            assert found["speedup/onnxruntime/batch-4", round].value > 0
        if not torch.cuda.is_available():
            assert found["unmeasured/2:4", None].unit == "2:4 kernels are a GPU's, and this is on cpu"


def test_without_the_extra_the_row_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert 'pip install "prunebench[onnx]"' in no_onnx(torch.device("cpu"))


def test_other_outputs_in_another_runtime_are_an_error() -> None:
    net = nn.Linear(3, 2)
    with pytest.raises(ContractError, match="with onnxruntime the network's outputs are"):
        near("onnxruntime", Prepared(lambda x: net(x) + 1, net), net, torch.randn(4, 3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensor_cores_give_what_the_masked_layer_gives() -> None:
    net = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64)).cuda()
    with torch.no_grad():
        net[0].weight.view(-1, 4)[:, 2:] = 0
    other = with_tensor_cores(net, torch.randn(1, 128).cuda())
    assert "2:4 in 1 layers" in other.said
    near("2:4", other, net, torch.randn(64, 128).cuda())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(6, 5), nn.Linear(6, 5, bias=False), nn.Conv2d(6, 5, 1), nn.Conv2d(6, 5, 3, padding=1, bias=False),
        nn.Conv2d(6, 5, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), nn.Conv2d(6, 5, 1, stride=2),
    ],
    ids=str,
)  # fmt: skip
def test_a_sparse_kernel_gives_what_the_layer_gives(layer: nn.Module, batch: int) -> None:
    with torch.no_grad():
        weight = layer.get_parameter("weight")
        weight.masked_fill_(torch.rand(weight.shape) < 0.8, 0.0)
        other = sparse(layer)
        assert other is not None
        taken = torch.randn(batch, 7, 6) if isinstance(layer, nn.Linear) else torch.randn(batch, 6, 8, 9)
        torch.testing.assert_close(other(taken), layer(taken), rtol=1e-4, atol=1e-5)


def test_layers_that_no_sparse_kernel_can_stand_for_keep_theirs() -> None:
    assert sparse(nn.Conv2d(4, 4, 3, groups=2)) is None
    assert sparse(nn.Conv2d(4, 4, 3, padding_mode="circular", padding=1)) is None
    assert sparse(nn.Conv2d(4, 4, 3, padding="same")) is None
    assert sparse(nn.ReLU()) is None


def test_the_faster_kernel_of_each_layer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench_plugins.analyses import _sparse_kernels

    def as_if(run: object, *rest: object) -> float:
        return {CsrLinear: 1.0, nn.Linear: 2.0, CsrConv2d: 2.0, nn.Conv2d: 1.0}[type(run)]  # type: ignore[index]

    monkeypatch.setattr(_sparse_kernels, "timed", as_if)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(36, 2)).eval()
    best, used, of = _sparse_kernels.with_best_kernels(net, torch.randn(2, 3, 5, 5), 3, 1)
    assert (used, of) == (1, 2)
    assert [type(module).__name__ for module in best] == ["Conv2d", "Flatten", "CsrLinear"]
    assert [type(module).__name__ for module in net] == ["Conv2d", "Flatten", "Linear"]


def test_other_outputs_than_the_masked_networks_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench_plugins.analyses import _sparse_kernels

    monkeypatch.setattr(_sparse_kernels, "sparse", lambda layer: nn.Linear(3, 3) if type(layer) is nn.Linear else None)
    monkeypatch.setattr(_sparse_kernels, "timed", lambda run, *rest: float(run is net[0]))
    net = nn.Sequential(nn.Linear(3, 3))
    monkeypatch.setattr(_sparse_kernels.copy, "deepcopy", lambda model: model)
    with pytest.raises(ContractError, match="with sparse kernels the network's outputs are"):
        _sparse_kernels.with_best_kernels(net, torch.randn(2, 3), 3, 1)


def test_a_file_that_does_not_ask_for_sparse_kernels_has_the_key_that_it_had() -> None:
    use = installed().use({"use": "cost"}, slot="analyse")
    assert use.to_json()["config"] == {"batches": [1, 64], "repeats": 30, "warm": 5}
    asked = installed().use({"use": "cost", "kernels": ["dense", "csr"]}, slot="analyse")
    assert asked.to_json()["config"]["kernels"] == ["dense", "csr"]
