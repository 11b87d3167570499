"""What a ticket costs: parameters, multiply-accumulates, bytes on disk, and the time that it really takes.

Units that can be taken out (channels) are taken out first, so that what is counted and timed is the smaller network.
Single weights cannot be: in dense kernels their network takes the time of the dense one. Asked for `kernels = ["dense",
"csr"]`, each layer is timed with its weight in compressed rows too, on a CPU, and the network with the faster kernel of
each layer; its outputs are those of the masked network. "onnxruntime" times the smaller network in ONNX Runtime, beside
the dense one there, and "2:4" the sparse tensor cores of a GPU, in half precision.

A clock tells of the network and of whatever else the machine does. So nothing else of the run works meanwhile, the
network and the dense one are timed in turn, pass by pass, and what is compared is the ratio within a pair of passes.

Source: Blalock et al. 2020, section 5 (report sizes and speeds, not one of them alone).
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench.kernels.hardware import processor_name
from prunebench.stats.median import median_interval

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Needs, Request
    from prunebench.api.task import Task


class CostConfig(ComponentConfig):
    """How to time.

    Args:
        batches: examples a forward pass, one timing for each.
        repeats: timed passes of each network; their median is reported, and from six on an interval of it.
        warm: passes before them.
        kernels: "dense" alone, or others beside it: "csr", sparse products on a CPU (torch's, by MKL where it has it),
            used in the layers where they are faster; "onnxruntime", the network that is left, in ONNX Runtime on a CPU;
            "2:4", the linear layers that have this pattern on a GPU of capability 8.0.
    """

    later = frozenset({"kernels"})

    batches: tuple[int, ...] = (1, 64)
    repeats: int = Field(default=30, ge=3)
    warm: int = Field(default=5, ge=1)
    kernels: tuple[Literal["dense", "csr", "onnxruntime", "2:4"], ...] = ("dense",)

    @field_validator("kernels")
    @classmethod
    def _with_dense(cls, kernels: tuple[str, ...]) -> tuple[str, ...]:
        if "dense" not in kernels:
            raise ValueError('"dense" is among the kernels: what the others are compared with')
        return kernels


class Cost:
    """Counts and times each ticket's network beside the dense one, in evaluation mode, without gradients."""

    def __init__(self, config: CostConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The entry's tickets of all rounds, as they are judged."""
        from prunebench.api.planning import Needs

        return Needs({"tickets": request.tickets})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, task: Task, units: Units) -> Analysis:
        """For each round: `parameters`, `macs`, `bytes`; `latency/batch-N`, and below the dense one `speedup/batch-N`.

        `macs` are of one example. `bytes` are float32 tensors of what is left; where single weights are pruned, the
        kept values and one bit a weight, if that is less. Latencies are medians in milliseconds a batch, on the device
        that the unit names, with the ends of their 95 % interval as `/low` and `/high`. `speedup` is how many times as
        long the dense network took beside it. The dense network's own latency is that of entries that prune nothing:
        one for a board. `load` is how many processes wanted the processor as the timing began. All of this is what a
        clock said, and is not held to be the same again.

        With "csr" also `latency/best/batch-N`, whose unit says in how many layers sparse kernels are used, and
        `latency_share`: the time of the first of `batches` with the best kernels over that of the dense network in the
        pass beside it. By that share's median entries are compared on the axis "latency".

        With "onnxruntime" or "2:4" also `latency/onnxruntime/batch-N` and `speedup/onnxruntime/batch-N`, how many times
        as long the dense network takes in the same runtime (for "2:4": with dense kernels in the same precision). Where
        such a kernel cannot be had, a row `unmeasured/onnxruntime` says why in its unit.

        Raises:
            ContractError: a network with other kernels gives other outputs than the masked one.
        """
        example = task.example(data.info)
        tickets = sorted(inputs["tickets"], key=lambda ticket: ticket.round)
        found: list[Measurement] = [Measurement("load", os.getloadavg()[0], "processes", exact=False)]
        small: dict[int, nn.Module] = {}
        for ticket in tickets:
            model.load_state_dict(dict(ticket.weights))
            found += counts(model, units, ticket, example)
            if ticket.mask is not None:
                small[ticket.round] = units.shrink(model, ticket.mask).eval()
        # No time depends on the weights: any of the tickets' will do for the dense network.
        dense = model.eval()
        for batch in self._config.batches:
            found += self._timed(dense, small, batch, example)
        if "csr" in self._config.kernels:
            for ticket in tickets:
                model.load_state_dict(dict(ticket.weights))
                own = small.get(ticket.round, copy.deepcopy(model).eval())
                found += self._sparse(own, dense, example, ticket.round)
        for kernel in ("onnxruntime", "2:4"):
            if kernel in self._config.kernels:
                found += self._elsewhere(kernel, model, units, tickets, example)
        return Analysis(tuple(found))

    def _elsewhere(
        self, kernel: str, model: nn.Module, units: Units, tickets: Sequence[Optimum], example: Tensor
    ) -> Iterator[Measurement]:
        """Timings of what is left of each network in another runtime, in turn with the dense network there."""
        from prunebench_plugins.analyses._other_kernels import KERNELS, near

        unable, prepared, name = KERNELS[kernel]
        device = next(model.parameters()).device
        if why := unable(device):
            yield Measurement(f"unmeasured/{kernel}", 1.0, why, exact=False)
            return
        dense = prepared(copy.deepcopy(model).eval(), example)
        for ticket in tickets:
            model.load_state_dict(dict(ticket.weights))
            own = model if ticket.mask is None else units.shrink(model, ticket.mask)
            other = prepared(own.eval(), example)
            near(kernel, other, own, batch_of(example, 4, device))
            for batch in self._config.batches:
                taken = batch_of(example, batch, device)
                times, reference = in_turn(other.run, dense.dense, taken, self._config.repeats, self._config.warm)
                unit = f"ms, {other.said}{name}, {device_name(device)}"
                yield from _measured(f"latency/{kernel}/batch-{batch}", times, unit, ticket.round)
                ratios = [whole / part for whole, part in zip(reference, times, strict=True)]
                yield from _measured(f"speedup/{kernel}/batch-{batch}", ratios, "times", ticket.round)

    def _sparse(self, small: nn.Module, dense: nn.Module, example: Tensor, round: int) -> Iterator[Measurement]:
        """Timings with the faster kernel of each layer, in turn with the dense network's."""
        from prunebench_plugins.analyses._sparse_kernels import with_best_kernels

        device = next(small.parameters()).device
        for number, batch in enumerate(self._config.batches):
            taken = batch_of(example, batch, device)
            best, used, of = with_best_kernels(small, taken, self._config.repeats, self._config.warm)
            times, reference = in_turn(best, dense, taken, self._config.repeats, self._config.warm)
            how = f"CSR in {used} of {of} layers, {device_name(device)}"
            yield from _measured(f"latency/best/batch-{batch}", times, f"ms, {how}", round)
            if number == 0:
                shares = [part / whole for part, whole in zip(times, reference, strict=True)]
                yield from _measured("latency_share", shares, f"of the dense network, batch {batch}, {how}", round)

    def _timed(
        self, dense: nn.Module, small: Mapping[int, nn.Module], batch: int, example: Tensor
    ) -> Iterator[Measurement]:
        """Latencies and speed-ups by round; the dense network's latency where there is no other."""
        import torch

        device = next(dense.parameters()).device
        taken = batch_of(example, batch, device)
        networks = [dense, *small.values()]
        with torch.inference_mode():
            for _ in range(self._config.warm):
                for network in networks:
                    pass_of(network, taken)
            passes = [[pass_of(network, taken) for network in networks] for _ in range(self._config.repeats)]
        unit = f"ms, dense kernels, {device_name(device)}"
        first, *others = zip(*passes, strict=True)
        if not small:
            yield from _measured(f"latency/batch-{batch}", first, unit, 0)
        for round, own in zip(small, others, strict=True):
            yield from _measured(f"latency/batch-{batch}", own, unit, round)
            ratios = [whole / part for whole, part in zip(first, own, strict=True)]
            yield from _measured(f"speedup/batch-{batch}", ratios, "times", round)


def _measured(name: str, values: Sequence[float], unit: str, round: int) -> Iterator[Measurement]:
    middle, ends = median_interval(values)
    yield Measurement(name, middle, unit, round=round, exact=False)
    for end, value in zip(("low", "high"), ends or (), strict=False):
        yield Measurement(f"{name}/{end}", value, unit, round=round, exact=False)


def batch_of(example: Tensor, batch: int, device: torch.device) -> Tensor:
    """So many copies of an example, on the device."""
    return example.to(device).repeat(batch, *[1] * (example.ndim - 1))


def pass_of(model: Callable[[Tensor], Any], taken: Tensor) -> float:
    """The time of one forward pass, in milliseconds."""
    import torch

    begin = time.perf_counter()
    model(taken)
    if taken.device.type == "cuda":
        torch.cuda.synchronize(taken.device)
    return 1e3 * (time.perf_counter() - begin)


def in_turn(
    first: Callable[[Tensor], Any], second: Callable[[Tensor], Any], taken: Tensor, repeats: int, warm: int
) -> tuple[list[float], list[float]]:
    """The times of two networks, pass by pass in turn, so that both see the same machine."""
    import torch

    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for _ in range(warm + repeats):
            for model, own in zip((first, second), times, strict=True):
                own.append(pass_of(model, taken))
    return times[0][warm:], times[1][warm:]


def counts(model: nn.Module, units: Units, ticket: Optimum, example: Tensor) -> Iterator[Measurement]:
    """What can be counted without a clock."""
    from prunebench.kernels.macs import macs_of

    total = sum(p.numel() for p in model.parameters())
    removed = 0
    if ticket.mask is not None:
        removed = sum(int((~keep).sum()) for keep in units.expand(ticket.mask).values())
    macs = macs_of(model, example, units, ticket.mask)
    yield Measurement("parameters", float(total - removed), "", round=ticket.round)
    yield Measurement("macs", float(macs.effective), "", round=ticket.round)
    yield Measurement("bytes", float(size(model, units, ticket.mask)), "bytes", round=ticket.round)


def size(model: nn.Module, units: Units, mask: Mask | None) -> int:
    """Bytes of all tensors: of the smaller network, or of the kept weights and a bit for each, whichever is less."""
    from prunebench.kernels.sizes import dense_bytes, kept_bytes

    if mask is not None and any(units.members()):
        model, mask = units.shrink(model, mask), None
    return dense_bytes(model.state_dict()) if mask is None else kept_bytes(model.state_dict(), units, mask)


def device_name(device: torch.device) -> str:
    """The device as a reader knows it, with the number of threads on a processor."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor_name()}, {threads} thread{'s' if threads > 1 else ''}"


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `cost`."""
    yield Component("cost", CostConfig, Cost, version=2, paper="Blalock et al. 2020", alone=True)
