"""Equality and speed on one CUDA GPU, in at most eight minutes: `python benchmarks/speed/gpu.py`.

First what must be equal: a step as a CUDA graph and the eager step, a run alone and beside others on the same GPU
(masks exactly zero in all). Then the table. Each part has its share of the time and is left out, by name, where there
is not enough left. Without a GPU it says so and ends.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import timm
import torch
from torch import Tensor, nn
from workloads import BATCH, Workload, images, our_loop, recipe_with

from prunebench.api.random import Rng
from prunebench.engine.environment import pin
from prunebench.engine.loop import Training
from prunebench.kernels.selection import keep_highest
from prunebench.kernels.weight_units import layer_weights
from prunebench_plugins.analyses._subsets import random_subset
from prunebench_plugins.analyses._utility import Images, Utility
from prunebench_plugins.models.architectures import CifarResNet
from prunebench_plugins.models.architectures.lenet import LeNet300100

SECONDS = 460
"""All parts together; the rest of eight minutes is for starting and ending."""
PACKED = 4
BEGAN = time.monotonic()


def workloads() -> list[tuple[Workload, int]]:
    """Each with the steps that are timed."""
    return [
        (Workload("LeNet-300-100", LeNet300100, images(60_000, (1, 28, 28)), 0), 2_000),
        (Workload("ResNet-20", CifarResNet, images(50_000, (3, 32, 32)), 0), 400),
        (Workload("ResNet-50, 64 px", _resnet50, images(5_120, (3, 64, 64)), 0), 60),
    ]


def _resnet50() -> nn.Module:
    model: nn.Module = timm.create_model("resnet50", num_classes=200)
    return model


def main() -> None:
    """Check, then measure."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was checked and nothing was measured")
        return
    if sys.argv[1:2] == ["--packed"]:
        _one_of_several()
        return
    pin("cuda", 1)
    print(f"{torch.cuda.get_device_name()}; torch {torch.__version__}", flush=True)
    equal()
    print("| what | measured |\n|---|---:|")
    for workload, steps in workloads():
        _part(f"{workload.name}: steps/s", lambda w=workload, n=steps: speeds(w, n))  # type: ignore[misc]
    _part(f"LeNet-300-100, {PACKED} runs on one GPU against one", packed)
    _part("selection of 20 % of 10^8 scores", selection)
    _part("utility checkpoint, 500 subsets x 6 sizes x 50,000 images", utility)


def equal() -> None:
    """Raises AssertionError if a graph changes a bit, or a pruned weight moves."""
    for workload, _ in workloads()[:2]:
        for optimizer in ("SGD", "Adam"):
            states = []
            for graphed in (True, False):
                loop = our_loop(workload, optimizer, density=0.2, device="cuda", graphed=graphed)
                loop.advance(120, lambda position, loss: None)
                if graphed and loop.why_eager:
                    print(f"{workload.name}, {optimizer}: no graph: {loop.why_eager}")
                assert loop.masked is not None
                assert loop.masked.moved() is None, f"{workload.name}, {optimizer}: a pruned weight moved"
                states.append({name: value.cpu() for name, value in loop.model.state_dict().items()})
            wrong = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
            assert not wrong, f"{workload.name}, {optimizer}: graph and eager differ in {wrong[0]}"
            print(f"{workload.name}, {optimizer}: graph and eager are bit-equal, pruned weights are 0", flush=True)
    alone, beside = _processes(1), _processes(2)
    assert {line.split()[0] for line in alone + beside} == {alone[0].split()[0]}, "packed and alone differ"
    print("LeNet-300-100: packed and alone are bit-equal", flush=True)


def speeds(workload: Workload, steps: int) -> str:
    """Of a graph, of eager steps, of a bare loop, and in bf16 with channels last."""
    parts = {
        "graph": our_loop(workload, "SGD", device="cuda"),
        "eager": our_loop(workload, "SGD", device="cuda", graphed=False),
        "bf16, channels last": our_loop(
            workload, "SGD", recipe=recipe_with(numerics="bf16", memory_format="channels_last"), device="cuda"
        ),
        "tf32": our_loop(workload, "SGD", recipe=recipe_with(numerics="tf32"), device="cuda"),
    }
    said = [f"{name} {_rate(_advance(loop, steps), steps):,.0f}" for name, loop in parts.items()]
    return ", ".join([*said, f"bare {_rate(_bare(workload, steps), steps):,.0f}"])


def _advance(loop: Training, steps: int) -> Callable[[], None]:
    return lambda: loop.advance(loop.position + steps, lambda position, loss: None)


def _bare(workload: Workload, steps: int) -> Callable[[], None]:
    """The loop that one would write: eager, a fused optimizer, nothing else."""
    model = workload.network().cuda().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    pixels, labels = workload.data.images.cuda(), workload.data.labels.cuda()

    def train() -> None:
        for _ in range(steps):
            chosen = torch.randint(len(labels), (BATCH,), device="cuda")
            optimizer.zero_grad()
            outputs = model(pixels.index_select(0, chosen).float().div_(255))
            nn.functional.cross_entropy(outputs, labels.index_select(0, chosen)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return train


def _rate(train: Callable[[], None], steps: int) -> float:
    train()
    torch.cuda.synchronize()
    began = time.monotonic()
    train()
    torch.cuda.synchronize()
    return steps / (time.monotonic() - began)


def packed() -> str:
    """Steps per second of all together over those of one."""
    (one,) = (float(line.split()[1]) for line in _processes(1))
    together = sum(float(line.split()[1]) for line in _processes(PACKED))
    return f"{together / one:.2f}x ({one:,.0f} steps/s alone)"


def _processes(count: int) -> list[str]:
    """What `_one_of_several` prints in each of so many processes at once."""
    command = [sys.executable, __file__, "--packed"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    found = [process.communicate(timeout=120)[0] for process in started]
    if any(process.returncode for process in started):
        raise AssertionError("a process that trains beside others failed")
    return [text.strip().splitlines()[-1] for text in found]


def _one_of_several() -> None:
    """Prints a digest of the weights after 200 steps, and steps per second."""
    import hashlib

    pin("cuda", 1)
    loop = our_loop(workloads()[0][0], "SGD", density=0.2, device="cuda")
    loop.advance(200, lambda position, loss: None)
    digest = hashlib.sha256()
    for value in loop.model.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
    print(digest.hexdigest(), _rate(_advance(loop, 1_000), 1_000))


def selection() -> str:
    """Seconds, masks included."""
    scores = torch.randn(10**8, device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    keep_highest([scores], None, 2 * 10**7)
    torch.cuda.synchronize()
    began = time.monotonic()
    keep_highest([scores], None, 2 * 10**7)
    torch.cuda.synchronize()
    return f"{time.monotonic() - began:.3f} s"


def utility() -> str:
    """Seconds of a whole checkpoint, from as many subsets as the time that is left allows."""
    model = CifarResNet().cuda().eval()
    data = images(50_000, (3, 32, 32)).to(torch.device("cuda"))
    alive = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in layer_weights(model)}
    measured = Utility(model, alive, Images(data, None))
    subsets = [random_subset(Rng("gpu"), measured.count, round(0.1 * measured.count), draw) for draw in range(21)]
    _of(measured, subsets[0])
    began, done = time.monotonic(), 0
    for subset in subsets[1:]:
        if time.monotonic() - BEGAN > SECONDS:
            break
        _of(measured, subset)
        done += 1
    each = (time.monotonic() - began) / max(1, done)
    return f"{3_000 * each:,.0f} s (from {done} subsets)"


def _of(measured: Utility, subset: Tensor) -> None:
    measured.of(subset)
    torch.cuda.synchronize()


def _part(name: str, measure: Callable[[], str]) -> None:
    if time.monotonic() - BEGAN > SECONDS:
        print(f"| {name} | left out: no time |", flush=True)
        return
    try:
        print(f"| {name} | {measure()} |", flush=True)
    except (RuntimeError, AssertionError) as error:
        print(f"| {name} | failed: {str(error).splitlines()[0]} |", flush=True)


if __name__ == "__main__":
    main()
