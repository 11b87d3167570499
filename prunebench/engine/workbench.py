"""From a phase's spec to live objects: data, model, units, states, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import pluggy
import torch
from torch import Tensor, nn

from prunebench.api import keys
from prunebench.api.component import BoundComponent
from prunebench.api.data import Data
from prunebench.api.errors import ContractError, PrunebenchError
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Units
from prunebench.api.planning import Ref, TrainedPoint
from prunebench.api.random import Rng, Streams
from prunebench.api.task import Task
from prunebench.api.tickets import Inputs, Optimum, State
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import accepts, run_manager
from prunebench.components.metrics import metrics_of
from prunebench.engine.data_checks import check_sizes, checked_info
from prunebench.engine.data_guard import fingerprint_of, train_alone
from prunebench.engine.measuring import Measuring
from prunebench.engine.probe import forget_data
from prunebench.kernels import weight_files
from prunebench.kernels.classifier import classifier_of
from prunebench.kernels.identity import aliases
from prunebench.kernels.macs import macs_of
from prunebench.kernels.networks import built, check_answers, reproducible
from prunebench.plan.json_values import to_json
from prunebench.plan.specs import ComponentSpec, DataSpec, ModelSpec, ParticipantSpec, WeightFile
from prunebench.store.store import Artifact, Store
from prunebench.store.tensors import load_tensors


class DivergedParentError(PrunebenchError):
    """A parent diverged, so this output does not exist; carries what the parent's record says."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self.meta = dict(meta)
        super().__init__(str(meta))


@dataclass
class _Lent:
    """Data that a component was handed, as it was before any was.

    Args:
        to: the last of them, with its hook.
    """

    data: Data
    before: Mapping[str, tuple[int | str, ...]]
    to: str = ""

    def changed(self) -> tuple[str, ...]:
        """The splits that are not as they were, and "info"."""
        after = fingerprint_of(self.data)
        return tuple(sorted(n for n in {*self.before, *after} if self.before.get(n) != after.get(n)))


class Workbench:
    """Builds what phases need, from the store and the installed components; keeps the last data set in memory."""

    def __init__(self, store: Store, catalogue: Catalogue, root: Path, device: str) -> None:
        self.store, self.catalogue, self.root = store, catalogue, root
        self.device = torch.device(device)
        self._data: dict[str, Data] = {}
        self._source: tuple[str, Callable[[Rng], Data]] | None = None
        """How the data that was read last is divided for another seed, under the name of its spec."""
        self._lent: _Lent | None = None
        """The data that a component was handed last."""
        self._answering: set[str] = set()
        """Models whose outputs were seen to depend on weights and images alone."""

    def bound(self, spec: ComponentSpec) -> BoundComponent:
        """A component as a phase names it. Raises ContractError where another version is installed."""
        return self.catalogue.from_json({"use": spec.use, "version": spec.version, "config": spec.config})

    def data(self, spec: DataSpec, seed: int) -> Data:
        """The splits of a data set on the device, checked against the digest that the phase was planned with."""
        component = self.bound(spec)
        # A split that draws nothing is the same for every seed.
        drawn = seed if accepts(component.planner, "prunebench_data", "rng") else None
        name = keys.digest([to_json(spec), drawn])
        if self._lent is not None and self._lent.data is self._data.get(name) and self._lent.changed():
            # Whoever had it wrote into it afterwards, from a thread. What begins now is to begin with sound data.
            self._data, self._lent, self._source = {}, None, None
        if name not in self._data:
            self._data, self._lent = {}, None  # before the next data set takes as much memory
            data = self._divided(component, keys.digest(to_json(spec)), Streams(seed).rng("split"))
            if data.info.digest != spec.digest:
                self._source = None
                forget_data(self.store, component, self.root)
                raise ContractError(
                    f"data {component}: the files changed since the run was planned (digest {data.info.digest[:12]}, "
                    f"planned {spec.digest[:12]})"
                )
            data = data.to(self.device)
            check_sizes(data, f"data {component}")
            self._data = {name: data}
        return self._data[name]

    def _divided(self, component: BoundComponent, source: str, rng: Rng) -> Data:
        """A data set as a stream divides it, from what is in memory if it was read last."""
        if self._source is not None and self._source[0] == source:
            return self._source[1](rng)
        self._source = None
        data: Data = run_manager([component]).hook.prunebench_data(root=self.root, rng=rng)
        checked_info(data, f"data {component}")
        if data.again is not None:
            self._source = source, data.again
        return data

    @contextmanager
    def lent(self, spec: DataSpec, seed: int, to: BoundComponent, hook: str) -> Iterator[Data | None]:
        """The splits for a hook of a component, if it asks for `data`; they must be the same afterwards.

        An analysis sees all of them, every other hook the training examples alone.

        Raises:
            ContractError: the component wrote into them. They are read anew for whoever comes next.
        """
        if not accepts(to.planner, hook, "data"):
            yield None
            return
        data = self.data(spec, seed)
        if self._lent is None or self._lent.data is not data:
            self._lent = _Lent(data, fingerprint_of(data))
        self._lent.to = f"component {to}: {hook}"
        try:
            yield data if hook == "prunebench_analyse" else train_alone(data, self._lent.to)
        finally:
            self.check_data()

    def check_data(self) -> None:
        """Nothing if the data in memory is what was read.

        Raises:
            ContractError: a component that it was handed wrote into it. It is read anew for whoever comes next.
        """
        changed = () if self._lent is None else self._lent.changed()
        if self._lent is not None and changed:
            to = self._lent.to
            self._data, self._lent, self._source = {}, None, None
            raise ContractError(
                f"{to} wrote into the data ({', '.join(changed)}), which other entries train and are measured on; "
                "work on a copy"
            )

    def architecture(self, spec: ModelSpec, seed: int = 0) -> nn.Module:
        """The network on the CPU, its weights as the constructor drew them from the global generators."""
        hook = run_manager([self.bound(spec)]).hook
        return built(lambda: hook.prunebench_model(data_info=shape_of(spec)), seed)

    def fresh(self, spec: ModelSpec, initialiser: ComponentSpec | None, rng: Rng) -> dict[str, Tensor]:
        """Fresh initial weights from a stream: the constructor's, then the initialiser's if there is one."""

        def draw() -> nn.Module:
            model = self.architecture(spec, rng.seed())
            if initialiser is not None:
                model = run_manager([self.bound(initialiser)]).hook.prunebench_initialise(model=model, rng=rng)
            return model

        first, second = reproducible(draw)
        state = {name: value.detach().clone() for name, value in first.state_dict().items()}
        if spec.canonical not in self._answering:
            check_answers(first, second, spec.shape)
            self._answering.add(spec.canonical)
        return state

    def pretrained(self, spec: ModelSpec, weights: WeightFile) -> dict[str, Tensor]:
        """The weights of a file, checked against the digest that the phase was planned with."""
        return self._read(self.architecture(spec), spec, weights)

    def transferred(self, spec: ModelSpec, weights: WeightFile, drawn: State) -> dict[str, Tensor]:
        """The same, but for the classifier's, which are those that were drawn."""
        model = self.architecture(spec)
        return {**self._read(model, spec, weights), **{name: drawn[name] for name in head_of(model, spec)}}

    def _read(self, model: nn.Module, spec: ModelSpec, weights: WeightFile) -> dict[str, Tensor]:
        file = weight_files.found(self.root, weights.file)
        if weight_files.digest_of(file) != weights.digest:
            raise ContractError(f'model.weights: "{weights.file}" changed since the run was planned')
        state = model.state_dict()
        offered = weight_files.saved(file).tensors if weight_files.is_pickle(file) else load_tensors(file.read_bytes())
        if weights.by_order:
            names = weight_files.in_order(offered, state)
            offered = {name: value for name, value in offered.items() if name in names}
        else:
            names = weight_files.renamed(offered, state, aliases(model))
        # Into the network's own names, order and types; a counter of steps that the file lacks stays 0.
        found = {names[name]: value for name, value in offered.items()}
        for name, value in offered.items():
            if not _same(found[names[name]], value):
                raise ContractError(f'model.weights: "{weights.file}" has two tensors for {names[name]}, which differ')
        if weights.rows is not None:
            found |= {name: found[name][list(weights.rows)] for name in head_of(model, spec)}
        return {name: found[name].to(value.dtype) if name in found else value for name, value in state.items()}

    def model(self, spec: ModelSpec, state: Mapping[str, Tensor]) -> nn.Module:
        """The network on the device with these weights, in evaluation mode."""
        model = self.architecture(spec)
        # Copies into the model's own, aligned memory: kernels may round differently on other alignments.
        model.load_state_dict(dict(state))
        return model.to(self.device).eval()

    def task(self, spec: ComponentSpec, label_smoothing: float = 0.0) -> Task:
        """A task; label smoothing is of its objective in training."""
        component = self.bound(spec)
        task: object = run_manager([component]).hook.prunebench_task(label_smoothing=label_smoothing)
        if not isinstance(task, Task):
            raise ContractError(f"task {component}: it returned {type(task).__name__}, not a Task")
        return task

    def measuring(self, spec: ComponentSpec) -> Measuring:
        """What a curve measures of a task."""
        component = self.bound(spec)
        return Measuring(str(component), self.task(spec), metrics_of(component))

    def example(self, task: ComponentSpec, model: ModelSpec) -> Tensor:
        """A batch of one as a model takes it, on the CPU."""
        return self.task(task).example(shape_of(model))

    def units(self, spec: ComponentSpec, task: ComponentSpec, model_spec: ModelSpec, model: nn.Module) -> Units:
        """The units of a model."""
        component = self.bound(spec)
        units: object = run_manager([component]).hook.prunebench_units(
            model=model, data_info=shape_of(model_spec), example=self.example(task, model_spec)
        )
        if not isinstance(units, Units):
            raise ContractError(f"units {component}: prunebench_units gave {type(units).__name__}, not Units")
        return units

    def manager(self, *specs: ComponentSpec) -> tuple[list[BoundComponent], pluggy.PluginManager]:
        """A run manager for components that take part in a phase, in their order."""
        components = [self.bound(spec) for spec in specs]
        return components, run_manager(components)

    # States.

    def artifact(self, ref: Ref) -> Artifact:
        """A parent's output. Raises DivergedParentError if the parent has no such output because it diverged."""
        artifact = self.store.get(ref.address)
        if artifact.meta.get("outcome") == "diverged":
            raise DivergedParentError(artifact.meta)
        return artifact

    def tensors(self, ref: Ref) -> dict[str, Tensor]:
        """A parent's weights."""
        return load_tensors(self.artifact(ref).files["weights.safetensors"])

    def mask(self, ref: Ref | None) -> Mask | None:
        """A parent's mask; None where nothing is pruned."""
        return None if ref is None else unpack_mask(load_tensors(self.artifact(ref).files["mask.safetensors"]))

    def inputs(self, participant: ParticipantSpec) -> Inputs:
        """What a component asked for in `needs`.

        Raises:
            DivergedParentError: one of them does not exist.
        """
        for points in participant.inputs.values():
            for point in points:
                self.artifact(point.weights)
        return {name: _Points(self, points) for name, points in participant.inputs.items()}


def shape_of(model: ModelSpec) -> DataInfo:
    """Of the data, what shapes a model: the shape of an input, and classes."""
    return DataInfo("", "", {}, model.shape, model.classes)


def head_of(model: nn.Module, spec: ModelSpec) -> frozenset[str]:
    """The names of the classifier's parameters, for weights of a network with other classes."""
    return classifier_of(model, torch.zeros(1, *spec.shape), spec.classes).names


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal; NaN equals NaN."""
    if one is other or torch.equal(one, other):
        return True
    both = one.shape == other.shape and one.is_floating_point() and other.is_floating_point()
    return both and bool(((one == other) | (one.isnan() & other.isnan())).all())


class _Points(Sequence[Optimum]):
    """Trained points that are read when they are looked at: thirty dense states need not be in memory together."""

    def __init__(self, workbench: Workbench, points: Sequence[TrainedPoint]) -> None:
        self._workbench, self._points = workbench, points

    def __len__(self) -> int:
        return len(self._points)

    @overload
    def __getitem__(self, index: int) -> Optimum: ...
    @overload
    def __getitem__(self, index: slice) -> _Points: ...
    def __getitem__(self, index: int | slice) -> Optimum | _Points:
        if isinstance(index, slice):
            return _Points(self._workbench, self._points[index])
        point, workbench = self._points[index], self._workbench
        return Optimum(workbench.tensors(point.weights), workbench.mask(point.mask), point.round, point.label)


def mask_meta(mask: Mask, units: Units, model: nn.Module, example: Tensor) -> dict[str, Any]:
    """What the results say of a mask: units kept by layer; parameters and multiply-accumulates left of all.

    Args:
        example: a batch of one as the model takes it.
    """
    macs = macs_of(model, example, units, mask)
    removed = sum(int((~keep).sum()) for keep in units.expand(mask).values())
    total = sum(p.numel() for p in model.parameters())
    return {
        "count": mask.count,
        "counts": list(mask.counts),
        "layers": [layer.name for layer in units.layers],
        "parameters": total - removed,
        "parameters_all": total,
        "macs": macs.effective,
        "macs_all": macs.dense,
    }


def pack_mask(mask: Mask) -> dict[str, Tensor]:
    """A mask as tensors: eight units a byte for each layer, and the numbers of units."""
    packed: dict[str, Tensor] = {"sizes": torch.tensor([k.numel() for k in mask.keep], dtype=torch.int64)}
    weights = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8)
    for index, keep in enumerate(mask.keep):
        bits = torch.zeros((keep.numel() + 7) // 8 * 8, dtype=torch.uint8)
        bits[: keep.numel()] = keep
        packed[f"layer.{index:05d}"] = (bits.view(-1, 8) * weights).sum(1, dtype=torch.uint8)
    return packed


def unpack_mask(tensors: Mapping[str, Tensor]) -> Mask:
    """Back from `pack_mask`."""
    weights = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8)
    keep = []
    for index, size in enumerate(tensors["sizes"].tolist()):
        bits = tensors[f"layer.{index:05d}"].unsqueeze(1) & weights
        keep.append((bits != 0).reshape(-1)[:size])
    return Mask(tuple(keep))
