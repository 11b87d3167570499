"""What layers read of training examples: the inputs of convolutions and linear layers, as columns of their products.

A convolution is a matrix product with the patches under its kernel ("unfolding"), one matrix for each of its groups. So
that paddings and strides are those that the network really uses, inputs are taken where the operation is called and not
where a module says what it would call: a layer is known by the parameter that it multiplies with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from prunebench.api.data import Gather
from prunebench.api.errors import ContractError

if TYPE_CHECKING:
    from prunebench.api.data import Batch, Data
    from prunebench.api.random import Rng
    from prunebench.api.task import Task

AT_ONCE = 1 << 24
"""Numbers in the columns that are made at a time; one example's may have more."""

See = Callable[[str, Tensor], None]
"""Takes the name of a layer's weight and what it multiplies in one batch: (groups, columns of the weight, places)."""


def drawn(data: Data, task: Task, rng: Rng, batch: int, batches: int) -> Iterator[Batch]:
    """`batches` batches of training examples as the task makes them, in the order of permutations of the stream.

    They are un-augmented. A batch larger than the split is the whole split; incomplete batches at the end of a
    permutation are dropped.
    """
    train = data["train"]
    size = min(batch, train.size)

    def gathers() -> Iterator[Gather]:
        order = torch.empty(0, dtype=torch.long)
        for index in range(batches):
            epoch, within = divmod(index, train.size // size)
            if within == 0:
                order = torch.from_numpy(rng.permutation(train.size, epoch))
            yield Gather(order[within * size : (within + 1) * size])

    return (task.batch(*batch) for batch in train.batches(gathers()))


def as_matrices(weight: Tensor, groups: int = 1) -> Tensor:
    """A weight (out, in / groups, *kernel) as the matrices that it multiplies with: (groups, out / groups, columns)."""
    return weight.reshape(groups, weight.shape[0] // groups, -1)


class LayerInputs:
    """What some layers of a network read of the same examples, in as many passes as are asked for.

    Args:
        who: what errors begin with, such as "score wanda".
        model: the network, in evaluation mode; its weights may change between passes.
        inputs: batches as it takes them, which are kept; floats take the weights' type.
        names: the layers' weights, by the first names of the parameters.
        remember: bytes of activations that may be kept from one pass to the next, so that what a pass went through
            before it came to its layers is not computed again. Only for callers that go through the layers one at a
            time in `order`, and change no weight but that of the layer at hand.
    Raises:
        ContractError: the network multiplies nothing with one of them.
    """

    def __init__(
        self, who: str, model: nn.Module, inputs: Iterable[Tensor], names: Iterable[str], remember: int = 0
    ) -> None:
        parameters = dict(model.named_parameters())
        self._model, self._names = model, {id(parameters[name]): name for name in names}
        dtype = next(iter(parameters.values())).dtype
        self.inputs = [batch.to(dtype) if batch.is_floating_point() else batch for batch in inputs]
        calls: list[str] = []
        self.groups: dict[str, int] = {}
        """Into how many groups each layer divides its channels."""

        def note(name: str, operation: Any, taken: Tensor, arguments: dict[str, Any]) -> None:
            calls.append(name)
            self.groups[name] = arguments["groups"]

        with torch.no_grad(), _Watch(self._names, note):
            model(self.inputs[0][:1])
        self.order = tuple(dict.fromkeys(calls))
        """The names in the order in which a forward pass comes to them."""
        self._calls = {name: calls.count(name) for name in self.order}
        self._memory = _Memory(model, remember)
        unseen = [name for name in self._names.values() if name not in self._calls]
        if unseen:
            raise ContractError(
                f"{who}: no convolution and no linear layer multiplies with {unseen[0]} as it is, so what is read is "
                "not known (the layer is not used, is transposed, or computes its weight first); leave it out: "
                f'units = {{ use = "weights", exclude = ["{unseen[0]}"] }}'
            )

    @property
    def examples(self) -> int:
        """How many examples are looked at."""
        return sum(len(batch) for batch in self.inputs)

    def look(self, names: Sequence[str], see: See) -> None:
        """One pass over all examples, which ends where the last of `names` has read its input.

        Args:
            see: called for each of them and each part of a batch, again where a network uses a layer more than once.
        """
        wanted = {key: name for key, name in self._names.items() if name in set(names)}
        for number, batch in enumerate(self.inputs):
            left = sum(self._calls[name] for name in names)

            def take(name: str, operation: Any, taken: Tensor, arguments: dict[str, Any]) -> None:
                nonlocal left
                self._memory.open = False  # what follows depends on a weight that may change
                for part in _parts(operation, taken, arguments):
                    see(name, columns(operation, part, arguments))
                left -= 1
                if left == 0:
                    raise _EndOfPassError

            with torch.no_grad(), self._memory.of(number), _Watch(wanted, take):
                try:
                    self._model(batch)
                except _EndOfPassError:
                    continue


@dataclass
class _Call:
    """A call of a module that has begun, with how often it called each other one, and what is remembered of these."""

    path: tuple[int, ...]
    counts: Counter[int] = field(default_factory=Counter)
    remembered: list[tuple[int, ...]] = field(default_factory=list)


class _Memory:
    """What calls of modules returned in earlier passes, batch by batch.

    A call is known by its place: which module, the how-manieth time, in which call of the module around it. Of nested
    calls the outermost that is complete is remembered. A tensor that was changed in place afterwards, which its version
    tells, is computed again.
    """

    def __init__(self, model: nn.Module, limit: int) -> None:
        self._model, self._limit, self._bytes = model, limit, 0
        self._known: dict[tuple[int, ...], tuple[Tensor, int]] = {}
        self._calls: list[_Call] = []
        self.open = False
        """Whether what is completed now may be remembered."""

    @contextmanager
    def of(self, batch: int) -> Iterator[None]:
        """A pass over one batch, in which remembered calls are not carried out."""
        if not self._limit:
            yield
            return
        modules = [module for module in self._model.modules() if module is not self._model]
        before = [module.__dict__.get("forward") for module in modules]
        self._calls, self.open = [_Call((batch,))], True
        for module in modules:
            module.__dict__["forward"] = self._remembering(module, module.forward)
        try:
            yield
        finally:
            for module, own in zip(modules, before, strict=True):
                del module.__dict__["forward"]
                if own is not None:
                    module.__dict__["forward"] = own

    def _remembering(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            around = self._calls[-1]
            path = (*around.path, id(module), around.counts[id(module)])
            around.counts[id(module)] += 1
            value, version = self._known.get(path, (None, 0))
            if value is not None and value._version == version:
                return value
            call = _Call(path)
            self._calls.append(call)
            try:
                result = forward(*args, **kwargs)
            finally:
                self._calls.pop()
            if self.open and type(result) is Tensor:
                for inner in call.remembered:
                    self._bytes -= self._known.pop(inner)[0].nbytes
                call.remembered = [path] if self._keep(path, result) else []
            around.remembered += call.remembered
            return result

        return called

    def _keep(self, path: tuple[int, ...], result: Tensor) -> bool:
        self._bytes -= self._known.pop(path)[0].nbytes if path in self._known else 0
        fits = self._bytes + result.nbytes <= self._limit
        if fits:
            self._bytes += result.nbytes
            self._known[path] = result, result._version
        return fits


class _EndOfPassError(Exception):
    """All that was to be seen has been seen."""


_LINEAR = functional.linear
_CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}
_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_DEFAULTS = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


class _Watch(TorchFunctionMode):
    """Tells of each operation that multiplies with one of some parameters, before it is carried out."""

    def __init__(self, names: dict[int, str], tell: Callable[[str, Any, Tensor, dict[str, Any]], None]) -> None:
        super().__init__()
        self._names, self._tell = names, tell

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _LINEAR or func in _CONVOLUTIONS:
            stated = {**_DEFAULTS, **dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
            weight: Tensor = stated["weight"]
            if id(weight) in self._names:
                self._tell(self._names[id(weight)], func, stated["input"], {**stated, "kernel": weight.shape[2:]})
        return func(*args, **kwargs)


def _parts(operation: Any, taken: Tensor, arguments: dict[str, Any]) -> Sequence[Tensor]:
    """An input in parts whose columns are few enough to stay near the processor: unfolding multiplies an image."""
    if operation is not _LINEAR and taken.ndim == _CONVOLUTIONS[operation] + 1:
        return [taken]  # one image, without a dimension for the batch
    each = taken.numel() // max(1, len(taken)) * prod(arguments["kernel"])
    return torch.split(taken, max(1, AT_ONCE // max(1, each)))


def columns(operation: Any, taken: Tensor, arguments: dict[str, Any]) -> Tensor:
    """What an operation multiplies its weight's matrices with: (groups, columns, places), a place for each output.

    Args:
        operation: torch's linear or convolution.
        taken: its input.
        arguments: those of the convolution, and `kernel`, the sizes of the weight beyond the channels.
    """
    if operation is _LINEAR:
        return taken.reshape(-1, taken.shape[-1]).T[None]
    dims = _CONVOLUTIONS[operation]
    patches = taken if taken.ndim == dims + 2 else taken[None]

    def each(value: Any) -> list[int]:
        several = list(value) if isinstance(value, list | tuple) else [value]
        return several * dims if len(several) == 1 else several

    stride, dilation, kernel = each(arguments["stride"]), each(arguments["dilation"]), list(arguments["kernel"])
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    match arguments["padding"]:
        case "valid":
            padding = [(0, 0)] * dims
        case "same":
            padding = [((span - 1) // 2, span - 1 - (span - 1) // 2) for span in spans]
        case stated:
            padding = [(size, size) for size in each(stated)]
    if any(map(any, padding)):
        patches = functional.pad(patches, [side for pair in reversed(padding) for side in pair])
    for dim, (span, step) in enumerate(zip(spans, stride, strict=True)):
        patches = patches.unfold(2 + dim, span, step)[..., :: dilation[dim]]
    # (batch, channels, *outputs, *kernel) to (channels, *kernel, batch, *outputs): in the weight's own order
    patches = patches.permute(1, *range(2 + dims, 2 + 2 * dims), 0, *range(2, 2 + dims))
    groups = int(arguments["groups"])
    return patches.reshape(groups, patches.shape[0] // groups * prod(kernel), -1)
