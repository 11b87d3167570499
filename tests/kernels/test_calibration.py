"""What layers read, against the layers' own products."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from prunebench.api.errors import ContractError
from prunebench.kernels.calibration import LayerInputs, as_matrices


def products(model: nn.Module, layer: nn.Module, name: str, batch: Tensor) -> tuple[Tensor, Tensor]:
    """What the columns give with the weight, and what the layer gave: both (places, outputs) without biases."""
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    inputs = LayerInputs("here", model, [batch], [name])
    handle.remove()
    seen.clear()
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        model(batch)
    handle.remove()
    found: list[Tensor] = []
    inputs.look([name], lambda name, columns: found.append(columns.clone()))
    weight = as_matrices(model.get_parameter(name).detach(), inputs.groups[name])
    (columns,) = found
    made = (weight @ columns).reshape(-1, columns.shape[-1])
    (output,) = seen
    if output.ndim > 2 and not isinstance(layer, nn.Linear):
        output = output.movedim(1, 0)
        return made, output.reshape(output.shape[0], -1)
    return made, output.reshape(-1, output.shape[-1]).T


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=60, deadline=None)
@given(
    dims=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.sampled_from([0, 1, 2, "valid", "same"]),
    dilation=st.integers(1, 2),
    mode=st.sampled_from(["zeros", "circular"]),
)
def test_columns_times_the_weight_are_what_a_convolution_gives(
    dims: int, groups: int, kernel: int, stride: int, padding: Any, dilation: int, mode: str
) -> None:
    stride = 1 if padding == "same" else stride
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    torch.manual_seed(0)
    layer = kind(4, 8, kernel, stride, padding, dilation, groups, bias=False, padding_mode=mode, dtype=torch.float64)
    made, given_ = products(nn.Sequential(layer), layer, "0.weight", torch.randn(3, 4, *[7] * dims).double())
    torch.testing.assert_close(made, given_, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 6), (2, 3, 4, 6)])
def test_columns_times_the_weight_are_what_a_linear_layer_gives(shape: tuple[int, ...]) -> None:
    layer = nn.Linear(6, 4, bias=False).double()
    made, given_ = products(nn.Sequential(layer), layer, "0.weight", torch.randn(shape).double())
    torch.testing.assert_close(made, given_)


class PadsItself(nn.Conv2d):
    """As the networks that follow TensorFlow do."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.conv2d(nn.functional.pad(input, [0, 1, 0, 1]), self.weight, None, self.stride)


def test_what_a_layer_does_to_its_input_first_is_seen() -> None:
    layer = PadsItself(3, 4, 3, 2).double()
    made, given_ = products(nn.Sequential(layer), layer, "0.weight", torch.randn(2, 3, 8, 8).double())
    torch.testing.assert_close(made, given_)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.first = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(self.first(x)))
        return out


def test_a_layer_that_is_used_twice_is_seen_twice_and_the_order_is_that_of_the_pass() -> None:
    model, seen = Twice(), list[str]()
    inputs = LayerInputs("here", model, [torch.randn(3, 4), torch.randn(2, 4)], ["second.weight", "first.weight"])
    assert inputs.order == ("first.weight", "second.weight")
    assert inputs.examples == 5
    inputs.look(["first.weight"], lambda name, columns: seen.append(f"{name} {columns.shape[-1]}"))
    assert seen == ["first.weight 3"] * 2 + ["first.weight 2"] * 2


def test_a_pass_ends_where_the_last_layer_has_read_its_input() -> None:
    model = Twice()
    inputs = LayerInputs("here", model, [torch.randn(3, 4)], ["second.weight", "first.weight"])
    reached: list[object] = []
    model.second.register_forward_hook(lambda *_: reached.append(0))
    inputs.look(["first.weight"], lambda name, columns: None)
    assert not reached


@pytest.mark.parametrize("kind", ["unused", "transposed", "computed"])
def test_a_layer_whose_input_is_not_known_is_named_with_what_to_do(kind: str) -> None:
    model: nn.Module
    if kind == "unused":
        model, name, batch = Twice(), "unused.weight", torch.randn(2, 4)
    elif kind == "transposed":
        model, name, batch = nn.Sequential(nn.ConvTranspose2d(3, 4, 2)), "0.weight", torch.randn(2, 3, 5, 5)
    else:
        model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 4)))
        name, batch = "0.parametrizations.weight.original", torch.randn(2, 4)
    with pytest.raises(ContractError, match=rf'^here: .* {name} .*exclude = \["{name}"\]'):
        LayerInputs("here", model, [batch], [name])


class Block(nn.Module):
    """A residual sum in place, an activation in place that is used twice, and one that all blocks share."""

    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.norm, self.act, self.shared = nn.BatchNorm2d(3), nn.ELU(inplace=True), shared

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.first(x)))
        out = self.act(self.second(out))
        out += self.shared(x)
        return out


def blocks() -> nn.Module:
    torch.manual_seed(0)
    shared = nn.Sigmoid()
    return nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.Sequential(*(Block(shared) for _ in range(3))), nn.Conv2d(3, 2, 1)
    ).eval()


@pytest.mark.parametrize("limit", [1 << 30, 700, 0])
def test_passes_that_go_on_where_the_last_one_ended_see_the_same_to_the_bit(limit: int) -> None:
    batches = [torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    seen: list[list[Tensor]] = []
    work: list[int] = []
    for remember in (0, limit):
        model, found, calls = blocks(), list[Tensor](), [0]
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                forward = module.forward
                module.forward = lambda x, run=forward, calls=calls: (calls.__setitem__(0, calls[0] + 1), run(x))[1]  # type: ignore[method-assign]
        names = [name for name, p in model.named_parameters() if p.ndim == 4]
        inputs = LayerInputs("here", model, batches, names, remember)
        for name in inputs.order:
            inputs.look([name], lambda name, columns, found=found: found.append(columns.clone()))  # type: ignore[misc]
            with torch.no_grad():
                model.get_parameter(name).mul_(0.9)
        seen.append(found)
        work.append(calls[0])
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    if limit == 1 << 30:
        # Once to find the order, and for each batch once to see and once more with the new weights.
        assert work[1] <= 8 + 2 * 2 * 8 < work[0]


def test_a_batch_with_many_places_is_seen_in_parts_that_sum_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunebench.kernels import calibration

    model, batch = nn.Sequential(nn.Conv2d(3, 4, 3)).double(), torch.randn(5, 3, 6, 6).double()
    inputs = LayerInputs("here", model, [batch], ["0.weight"])
    whole: list[Tensor] = []
    inputs.look(["0.weight"], lambda name, columns: whole.append(columns.clone()))
    monkeypatch.setattr(calibration, "AT_ONCE", 2 * 3 * 36 * 9)
    parts: list[Tensor] = []
    inputs.look(["0.weight"], lambda name, columns: parts.append(columns.clone()))
    assert len(parts) == 3
    assert torch.equal(torch.cat(parts, dim=2), whole[0])
