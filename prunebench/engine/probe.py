"""What planning knows without training: sizes and digests of data, layers and units of models; cached in the store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.api import keys
from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import COSTS, Cost
from prunebench.api.errors import ContractError, PlanError
from prunebench.api.info import Coverage, DataInfo, Dense, Layer, ModelInfo
from prunebench.api.masks import Mask, Units
from prunebench.api.pretrained import Pretrained
from prunebench.api.random import Rng
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.components.containment import contained
from prunebench.components.managers import implements, run_manager
from prunebench.components.time_limit import limited
from prunebench.engine.data_checks import checked_info
from prunebench.engine.first_step import why_it_fails
from prunebench.engine.scoring import ask
from prunebench.kernels import weight_files
from prunebench.kernels.file_facts import SETTLED
from prunebench.plan.first_step import FirstStep
from prunebench.plan.published import FirstWeights, rows_for
from prunebench.plan.scoring import Scoring
from prunebench.plan.specs import WeightFile
from prunebench.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn


class StoreProbe:
    """Answers from the store's cache; reads data, or builds a model on the meta device, only if it must.

    Args:
        before_torch: called before it does, which imports torch.
        elsewhere: called in its place where nothing is known to be missing; the answer may be in the cache afterwards.
    """

    def __init__(
        self,
        store: Store,
        root: Path,
        before_torch: Callable[[], None] = lambda: None,
        elsewhere: Callable[[], None] | None = None,
    ) -> None:
        self.store, self.root, self._before_torch = store, root, before_torch
        self._elsewhere = before_torch if elsewhere is None else elsewhere

    @cached_property
    def _versions(self) -> dict[str, str]:
        """Of what builds networks; asked for one, a distribution reads its whole metadata anew."""
        return {package: version(package) for package in ("torch", "timm")}

    def _known(
        self,
        name: str,
        holds: Callable[[Any], object] = lambda known: True,
        prepare: Callable[[], None] | None = None,
    ) -> Any | None:
        """An earlier answer that still holds, once all was prepared for a new one; None where it is found out here."""
        for attempt in range(2):
            known = self.store.cached_json(name)
            if known is not None and holds(known):
                return known
            if not attempt:
                (prepare or self._elsewhere)()
        return None

    def data(self, chosen: DataChoice) -> DataInfo:
        """Sizes, shape and digest. The digest is taken again when a file that it was read from has changed."""
        name = _data_name(chosen.use, self.root)
        known = self._known(
            name,
            lambda one: one["stamps"] and one["stamps"] == _stamps(one["info"]["files"]),
            # That files are missing is found without torch, and here at once.
            lambda: (self._elsewhere if _is_there(chosen.use, self.root) else self._before_torch)(),
        )
        if known is not None:
            return _data_info(known["info"])
        began = time.time()
        # Sizes and digest are those of the source, the same for every seed's split.
        with contained(f"data {chosen.use}"):
            data = run_manager([chosen.use]).hook.prunebench_data(root=self.root, rng=Rng("probe"))
            info = checked_info(data, f"data {chosen.use}")
            found = {"info": asdict(info), "stamps": _settled(info.files, began)}
        self.store.put_json(name, found)
        return info

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        """Layers, units and parameters, from the network on the meta device: no memory, no numbers."""
        identity = [
            chosen.use.to_json(),
            units.to_json(),
            task.trained_json(),
            list(data.shape),
            data.classes,
            self._versions,
            [field.name for field in fields(Layer)],  # what an earlier version of the suite found may lack one
        ]
        name = "network-" + keys.digest(identity)
        known = self._known(name)
        if known is None:
            with contained(f"model {chosen.use}, units {units}"):
                known = self._probed(chosen, data, units, task)
            self.store.put_json(name, known)
        layers = tuple(Layer(**{**layer, "shape": tuple(layer["shape"])}) for layer in known["layers"])
        dense = tuple(Dense(each["reason"], each["values"], tuple(each["names"])) for each in known["dense"])
        reached = Coverage(known["parameters"], known["prunable"], dense)
        return ModelInfo(chosen.label, known["parameters"], layers, reached)

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        """A weight file, once it is known to fit the network.

        Raises:
            DataMissing: there is no such file.
            PlanError: it is no weight file, or does not fit; every mismatch is listed.
        """
        path = chosen.weights if published is None or chosen.weights is not None else published.file
        assert path is not None
        rows = None if published is None or chosen.fresh_head else rows_for(published, data)
        if chosen.weights is not None or published is None:
            file = weight_files.found(self.root, path)
        else:
            file = weight_files.found(
                self.root, path, f"run {fetching(chosen, published)}, or put {published.where} there"
            )
        began = time.time()
        stamps = _stamps((str(file),))
        shape = [*data.shape, data.classes, *self._versions.values()]
        asked = [chosen.use.to_json(), shape, str(file), chosen.fresh_head, rows, chosen.weights_by]
        name = "weight-file-" + keys.digest(asked)
        known = self._known(name, lambda one: stamps and one["stamps"] == stamps)
        if known is None:
            with contained(f"model {chosen.use}"):
                taken_off = self._check_fit(chosen, data, path, file, rows, published)
            digest = weight_files.digest_of(file)
            known = {"digest": digest, "stamps": _settled((str(file),), began), "taken_off": taken_off}
            self.store.put_json(name, known)
        found = WeightFile(path, known["digest"], rows, chosen.weights_by == "order")
        return FirstWeights(found, _weights_note(found, file, known["taken_off"], published))

    def first_step(self, chosen: ModelChoice, one: FirstStep) -> str:
        """What the first step of training would fail with; empty if nothing. See `first_step`."""
        identity = [chosen.use.to_json(), one.identity, self._versions]
        name = "step-" + keys.digest(identity)
        if self._known(name, lambda one: not one["fails"]) is not None:
            return ""
        # What fails is tried again: a full memory or a slow machine is no fault of the file.
        fails = why_it_fails(one, partial(self._network, chosen, one.data))
        if not fails:
            self.store.put_json(name, {"fails": fails})
        return fails

    def ask_score(self, chosen: ModelChoice, one: Scoring) -> None:
        """Nothing. Raises CannotTakePart if the network is none for the score. See `scoring`."""
        name = "score-" + keys.digest([chosen.use.to_json(), one.identity, self._versions])
        if self._known(name) is None:
            ask(one, partial(self._network, chosen, one.data))
            self.store.put_json(name, {"applies": True})

    def least(
        self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent
    ) -> Mapping[Cost, float]:
        """The share of each cost that is left where of every layer only its floor lives."""
        shape = [*data.shape, data.classes]
        name = "least-" + keys.digest(
            [chosen.use.to_json(), units.to_json(), task.trained_json(), shape, self._versions]
        )
        known = self._known(name)
        if known is None:
            import torch

            from prunebench.kernels.costs import counter_of

            with contained(f"model {chosen.use}, units {units}"):
                model, example, found = self._units_of(chosen, data, units, task)
                mask = Mask(tuple(torch.arange(layer.count) < layer.floor for layer in found.layers))
                counters = {of: counter_of(of, model, example, found) for of in COSTS}
                known = {of: counter.under(mask) / max(1, counter.dense) for of, counter in counters.items()}
            self.store.put_json(name, known)
        return {of: known[of] for of in COSTS}

    def _check_fit(
        self,
        chosen: ModelChoice,
        data: DataInfo,
        path: str,
        file: Path,
        rows: tuple[int, ...] | None,
        published: Pretrained | None,
    ) -> list[str]:
        """What was taken off the names in the file; raises PlanError if it does not fit."""
        import torch

        from prunebench.kernels.classifier import classifier_of
        from prunebench.kernels.identity import aliases

        model = self._network(chosen, data)
        wanted: weight_files.Shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        offered, further = weight_files.shapes_of(file), aliases(model)
        head = (
            classifier_of(model, torch.zeros(1, *data.shape), data.classes).names if chosen.fresh_head or rows else ()
        )
        if rows is not None and published is not None:  # the file has all of its outputs
            wanted = {n: (published.outputs, *shape[1:]) if n in head else shape for n, shape in wanted.items()}
        if chosen.weights_by == "order":
            if not weight_files.is_pickle(file):
                raise PlanError('model.weights_by: "order" is for files of torch.save; safetensors keep none')
            names = weight_files.renamed_by_order(path, offered, wanted)
            offered = {name: shape for name, shape in offered.items() if name in names}
        else:
            names = weight_files.renamed(offered, wanted, further)
        weight_files.check_fit(path, offered, wanted, further, head if chosen.fresh_head else (), names)
        return list(weight_files.saved(file, "meta").taken_off) if weight_files.is_pickle(file) else []

    def _network(self, chosen: ModelChoice, data: DataInfo, device: str = "meta") -> nn.Module:
        """The network on a device; on the CPU where its constructor needs values, as of a mean, and meta has none."""
        import torch

        from prunebench.kernels.identity import canonical_names, retied
        from prunebench.kernels.networks import built

        hook = run_manager([chosen.use]).hook

        def on(where: str) -> nn.Module:
            with torch.device(where):
                return built(lambda: limited(lambda: hook.prunebench_model(data_info=data)))

        if device != "meta":
            return on(device)
        try:
            return on("meta")
        except Exception:  # whatever a foreign constructor raises where tensors have no values
            model = on("cpu")
            names = canonical_names(model)  # moving makes a parameter of each of its names
            return retied(model.to("meta"), names)

    def _probed(
        self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent
    ) -> dict[str, Any]:
        from prunebench.kernels.coverage import coverage

        model, _, found = self._units_of(chosen, data, units, task)
        reached = coverage(model, found)
        return {
            "parameters": reached.values,
            "layers": [asdict(layer) for layer in found.layers],
            "prunable": reached.prunable,
            "dense": [asdict(each) for each in reached.dense],
        }

    def _units_of(
        self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent
    ) -> tuple[nn.Module, Tensor, Units]:
        """The network on the meta device, an example for it, and its units."""
        import torch

        example = run_manager([task]).hook.prunebench_task(label_smoothing=0.0).example(data)
        model = self._network(chosen, data)
        # Units that follow a few small inputs through the network are slower with many threads than with one.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found: object = run_manager([units]).hook.prunebench_units(model=model, data_info=data, example=example)
        finally:
            torch.set_num_threads(threads)
        if not isinstance(found, Units):
            raise ContractError(f"units {units}: prunebench_units gave {type(found).__name__}, not Units")
        return model, example, found


def fetching(chosen: ModelChoice, published: Pretrained) -> str:
    """The command that fetches published weights."""
    revision = f" --revision {chosen.revision}" if chosen.revision is not None else ""
    return f"`prunebench weights fetch {published.name}{revision}`"


def _weights_note(weights: WeightFile, file: Path, taken_off: list[str], published: Pretrained | None) -> str:
    said = []
    if published is not None:
        origin = weight_files.origin_of(file, weights.digest) or f"the file {weights.file}"
        said.append(f"it starts from weights that others trained: {origin}, sha256 {weights.digest[:12]}")
        if weights.rows is not None:
            said.append(f"of its {published.outputs:,} outputs the data's {len(weights.rows):,} are kept")
    if taken_off:
        said.append("taken off in its file: " + ", ".join(f'"{one}"' for one in taken_off))
    if weights.by_order:
        said.append("the tensors of its file were matched by order and shape, not by name")
    return "; ".join(said)


def forget_data(store: Store, use: BoundComponent, root: Path) -> None:
    """Take the data set's digest again when it is next planned with: the one that is kept turned out to be wrong."""
    store.put_json(_data_name(use, root), None)


def _is_there(data: BoundComponent, root: Path) -> bool:
    """Whether all files of a data set are there that its publisher offers; of one that has no publisher, true."""
    if not implements(data.planner, "prunebench_downloads"):
        return True
    try:
        return all(offered.path.exists() for offered in run_manager([data]).hook.prunebench_downloads(root=root))
    except Exception:  # as a rule it says what to put where; the loader will, too
        return False


def _data_name(use: BoundComponent, root: Path) -> str:
    return "data-" + keys.digest([use.to_json(), str(root), [field.name for field in fields(DataInfo)]])


def _stamps(files: tuple[str, ...]) -> dict[str, list[int]]:
    """Size and times of each file, that of its last change of any kind too; empty if one is gone."""
    stamps = {}
    for file in files:
        try:
            stat = os.stat(file)
        except OSError:
            return {}
        stamps[file] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    return stamps


def _settled(files: tuple[str, ...], began: float) -> dict[str, list[int]]:
    """Their stamps once they were read; empty, so that they are read again, if one may have changed meanwhile.

    Times are coarse on some file systems: a second change within one tick leaves the same.

    Args:
        began: when reading began, in seconds since the epoch.
    """
    stamps = _stamps(files)
    newest = max((changed for _, _, changed in stamps.values()), default=0) / 1e9
    return stamps if newest < began - SETTLED else {}


def _data_info(known: Mapping[str, Any]) -> DataInfo:
    lists = {name: tuple(known[name]) for name in ("shape", "files", "class_names")}
    return DataInfo(**{**known, **lists})
