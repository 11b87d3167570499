from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunebench.kernels import batch_size
from prunebench.kernels.batch_size import LARGEST, LEAST, batch_for, in_parts


def convolutions(width: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 5)).eval()


def test_the_largest_tensor_on_the_way_decides() -> None:
    example = torch.zeros(1, 3, 32, 32)
    assert batch_for(convolutions(16), example) == LARGEST["cpu"] // (16 * 32 * 32)
    assert batch_for(nn.Flatten(), example) == LARGEST["cpu"] // (3 * 32 * 32)
    assert batch_for(convolutions(2_048), example) == LEAST


def test_looking_leaves_no_hooks_even_where_the_network_fails() -> None:
    net = convolutions(4)
    with pytest.raises(RuntimeError):
        batch_for(net, torch.zeros(1, 7, 8, 8))
    assert not any(module._forward_hooks for module in net.modules())


@torch.no_grad()
@pytest.mark.parametrize("examples", [1, 31, 33, 63, 64, 65, 100, 1_000])
def test_parts_give_the_bits_of_the_whole(examples: int) -> None:
    net, seen = convolutions(16), list[int]()
    images = torch.randn(examples, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    whole = net(images)
    net.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    assert torch.equal(in_parts(net)(images), whole)
    assert max(seen[1:]) < 64
    assert min(seen[1:]) >= min(32, examples)
    assert sum(seen) == examples + 1  # one to look at


@torch.no_grad()
def test_how_many_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(network: nn.Module, example: Tensor) -> int:
        calls.append(len(example))
        return 4

    monkeypatch.setattr(batch_size, "batch_for", counted)
    network = in_parts(convolutions(2))
    for _ in range(3):
        network(torch.zeros(9, 3, 4, 4))
    assert calls == [1]
