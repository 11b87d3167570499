"""Take a ticket or a trained network out of a run: safetensors and a JSON sidecar that rebuild it, and ONNX.

Nothing here pickles. The sidecar names the architecture and the units by their components; the mask says which of them
were taken out, so that the smaller module is built, and then its weights are loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench import runner
from prunebench.api.cost_share import Count
from prunebench.api.errors import ConfigError, PrunebenchError, nearest
from prunebench.api.events import Event
from prunebench.api.info import DataInfo
from prunebench.api.planning import Evaluation, Ref
from prunebench.api.tickets import State
from prunebench.benchmark.densities import Density
from prunebench.components.catalogue import Catalogue
from prunebench.components.containment import contained
from prunebench.engine.missing import missing, samples
from prunebench.kernels.onnx_networks import run_of, why_no_onnx, write_onnx
from prunebench.kernels.whole_files import aside, write_whole
from prunebench.plan.counts import matched
from prunebench.plan.json_values import from_json, to_json
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import (
    AnalyseSpec,
    ComponentSpec,
    EditSpec,
    InitSpec,
    JointPruneSpec,
    LoadSpec,
    ModelSpec,
    PruneSpec,
    TrainSpec,
)
from prunebench.plan.trial import Plan, Trial
from prunebench.runner.preparing import Prepared

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.masks import Mask, Units

SIDECAR, WEIGHTS, MASK, ONNX = "model.json", "weights.safetensors", "mask.safetensors", "model.onnx"
FORMAT = 1
TRIED = 8
"""Inputs that the files' outputs are compared on."""
NEAR = 1e-4
"""The largest difference of logits, relative to the largest of them, that counts as equal in float32."""


@dataclass(frozen=True)
class Choice:
    """Which network of a benchmark.

    Args:
        round: its round; the last that was judged if neither it nor a density is given.
        trained: as it was judged at the end of its training, or the ticket as it starts.
    """

    entry: str
    seed: int | None = None
    round: int | None = None
    density: str | None = None
    draw: int = 0
    model: str | None = None
    data: str | None = None
    trained: bool = True


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        differences: by file, the largest difference of its logits from the original's.
    """

    folder: Path
    sidecar: Mapping[str, Any]
    differences: Mapping[str, float]


@contained("export")
def export(
    prepared: Prepared,
    choice: Choice,
    folder: str | Path,
    *,
    onnx: bool = False,
    observe: Callable[[Event], None] = lambda event: None,
    catalogue: Catalogue | None = None,
) -> Exported:
    """Write a network of a benchmark; what is missing of it is trained first.

    Raises:
        ConfigError: there is no such entry, seed or round.
        PrunebenchError: a phase failed, ONNX is not installed, or a file does not give the original's outputs.
    """
    import torch

    from prunebench.engine.masking import MaskedParameters
    from prunebench.engine.workbench import DivergedParentError, Workbench
    from prunebench.kernels.noise import batch_like
    from prunebench.store.tensors import dump_tensors

    folder = Path(folder)
    if onnx and (why := why_no_onnx()):
        raise PrunebenchError(f"--onnx: {why}")
    trial, evaluation, refs = _wanted(prepared.plan, choice)
    weights, mask_ref = refs[0], refs[1] if len(refs) > 1 else None
    store = runner.make(prepared, refs, observe, catalogue)
    spec = spec_of(prepared.plan.phases, evaluation.run.key, TrainSpec)
    model_spec, task_spec = spec.model, spec.task
    units_spec = ComponentSpec.of(prepared.benchmark.all_entries[trial.entry].units)
    workbench = Workbench(store, prepared.benchmark.catalogue, prepared.root, "cpu")
    where = f'entry "{trial.entry}", seed {trial.seed}, round {evaluation.round}'
    try:
        original, mask = workbench.model(model_spec, workbench.tensors(weights)), workbench.mask(mask_ref)
    except DivergedParentError:
        raise PrunebenchError(f"{where}: training diverged, so there is no network") from None
    if mask is None:
        small = original
    else:
        units = workbench.units(units_spec, task_spec, model_spec, original)
        MaskedParameters(original, units, mask).zero_weights()
        small = units.shrink(original, mask).eval()
    state = {name: value.detach().contiguous().clone() for name, value in small.state_dict().items()}
    contents = {WEIGHTS: dump_tensors(state)}
    if mask_ref is not None:
        contents[MASK] = store.get(mask_ref.address).files[MASK]
    example = workbench.example(task_spec, model_spec)
    sidecar = {
        "format": FORMAT,
        "model": to_json(model_spec),
        "input": {"shape": list(example.shape[1:]), "dtype": str(example.dtype).removeprefix("torch.")},
        "units": None if mask is None else to_json(units_spec),
        "history": history(prepared.plan, trial, evaluation, choice, trial.units if mask is None else mask.count),
        "size": _sizes(original, small, state, None if mask is None else (units, mask)),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    with _sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (*contents.items(), (SIDECAR, (json.dumps(sidecar, indent=2) + "\n").encode())):
            write_whole(folder / name, content)
    images = batch_like(example, TRIED, 0)
    loaded = load_exported(folder, prepared.benchmark.catalogue)
    with torch.inference_mode():
        wanted = original(images)
        differences = {WEIGHTS: _far(loaded(images), wanted)}
    if onnx:
        with _sentences(folder), aside(folder / ONNX) as beside:
            write_onnx(small, images, beside)
        differences[ONNX] = _far(torch.from_numpy(run_of(folder / ONNX)(images.numpy())), wanted)
    for name, far in differences.items():
        if not far <= NEAR:
            raise PrunebenchError(f"{folder / name}: its outputs differ from the original's by {far:.2g}")
    return Exported(folder, sidecar, differences)


def work_of_export(prepared: Prepared, choice: Choice) -> dict[str, int]:
    """What must be trained for an export, by key, in examples: nothing where its weights were kept."""
    lacking = missing(prepared.plan, prepared.open_store(), _wanted(prepared.plan, choice)[2])
    phases = prepared.plan.phases
    return {key: samples(phases[key], out) for key, out in lacking.items() if phases[key].kind == "train"}


def _wanted(plan: Plan, choice: Choice) -> tuple[Trial, Evaluation, list[Ref]]:
    """What a choice means, and its weights and mask, if it has one."""
    trial, evaluation = chosen(plan, choice)
    ticket = evaluation.run.ticket
    refs = (evaluation.run.end, evaluation.mask) if choice.trained else (ticket.weights, ticket.mask)
    return trial, evaluation, [ref for ref in refs if ref is not None]


def load_exported(folder: str | Path, catalogue: Catalogue | None = None) -> nn.Module:
    """The network of an export, in evaluation mode on the CPU, as small as it was written.

    Raises:
        PrunebenchError: not an export, another format, or files that are not those that were written.
    """
    folder = Path(folder)
    try:
        sidecar = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PrunebenchError(f"{folder}: no export: {SIDECAR} cannot be read ({error})") from None
    if not isinstance(sidecar, dict):
        raise PrunebenchError(f"{folder}: no export: {SIDECAR} holds no table")
    if sidecar.get("format") != FORMAT:
        raise PrunebenchError(f"{folder}: format {sidecar.get('format')!r}; this version reads {FORMAT}")
    # What it says is anybody's word, and the network that it names is anybody's code.
    with contained(f"{folder}: it cannot be loaded"):
        return _loaded(folder, sidecar, Catalogue.load() if catalogue is None else catalogue)


def _loaded(folder: Path, sidecar: Mapping[str, Any], catalogue: Catalogue) -> nn.Module:
    import torch

    from prunebench.components.managers import run_manager
    from prunebench.engine.workbench import shape_of, unpack_mask
    from prunebench.kernels.networks import built
    from prunebench.store.tensors import load_tensors

    contents = {}
    for name in (WEIGHTS, MASK) if sidecar["units"] is not None else (WEIGHTS,):
        contents[name] = (folder / name).read_bytes() if (folder / name).is_file() else b""
        if hashlib.sha256(contents[name]).hexdigest() != sidecar["files"][name]:
            raise PrunebenchError(f"{folder / name}: not the file that was exported")
    info: DataInfo = shape_of(from_json(ModelSpec, sidecar["model"], f"{folder / SIDECAR}: model"))
    # Units are found by tracing, and parameters may be trained on: neither can be done with inference tensors.
    with torch.inference_mode(False):
        hook = run_manager([catalogue.from_json(sidecar["model"])]).hook
        model: nn.Module = built(lambda: hook.prunebench_model(data_info=info))
        if sidecar["units"] is not None:
            # Exports from before inputs had types are of images.
            taken = sidecar.get("input", {"shape": info.shape, "dtype": "float32"})
            units = run_manager([catalogue.from_json(sidecar["units"])]).hook.prunebench_units(
                model=model,
                data_info=info,
                example=torch.zeros(1, *taken["shape"], dtype=getattr(torch, taken["dtype"])),
            )
            model = units.shrink(model, unpack_mask(load_tensors(contents[MASK])))
        model.load_state_dict(load_tensors(contents[WEIGHTS]))
    return model.eval()


def chosen(plan: Plan, choice: Choice) -> tuple[Trial, Evaluation]:
    """The trial and the judged run that a choice means. Raises ConfigError, with what there is."""
    trials = [trial for trial in plan.trials if trial.entry == choice.entry]
    if not trials:
        names = list(dict.fromkeys(trial.entry for trial in plan.trials))
        raise ConfigError([f'--entry: no entry "{choice.entry}".{nearest(choice.entry, names)}'])
    for option, wanted in (("model", choice.model), ("data", choice.data), ("seed", choice.seed)):
        known = list(dict.fromkeys(getattr(trial, option) for trial in trials))
        if wanted is None and len(known) > 1 and option != "seed":
            raise ConfigError([f"--{option}: which of {', '.join(map(str, known))}?"])
        value = known[0] if wanted is None else wanted
        trials = [trial for trial in trials if getattr(trial, option) == value]
        if not trials:
            raise ConfigError([f"--{option}: {value!r} is not one of {', '.join(map(str, known))}"])
    (trial,) = trials
    judged = [e for e in trial.evaluations if e.draw == choice.draw or e.round == 0]
    rounds = sorted({e.round for e in judged})
    round = rounds[-1] if choice.round is None else choice.round
    if choice.density is not None:
        counts: dict[int, Count] = {e.round: e.run.ticket.count for e in judged}
        try:
            stated = Density(float(choice.density), choice.density)
        except ValueError:
            raise ConfigError([f'--density: "{choice.density}" is not a number']) from None
        ordered = [trial.units, *(counts[r] for r in rounds if r)]
        found = matched([stated], ordered)[0]
        round = 0 if found == 0 else [r for r in rounds if r][found - 1]
    if round not in rounds or not judged:
        raise ConfigError([f"round {round} was not judged; rounds {', '.join(map(str, rounds))} were"])
    return trial, next(e for e in judged if e.round == round)


def history(plan: Plan, trial: Trial, evaluation: Evaluation, choice: Choice, count: int) -> dict[str, Any]:
    """How the network came to be: its key, and each pruning on the way with what scored and selected.

    Args:
        count: units that live in it.
    """
    prunings = []
    mask: Ref | None = evaluation.run.ticket.mask
    while mask is not None and mask.key in plan.phases:
        spec = plan.phases[mask.key].spec
        if isinstance(spec, PruneSpec):
            chosen_by = {"score": to_json(spec.score), "select": to_json(spec.select)}
            prunings.append({"key": mask.key, "count": to_json(spec.count), **chosen_by, "round": spec.streams.round})
        elif isinstance(spec, JointPruneSpec):
            step = {"key": mask.key, "count": spec.count, "prune": to_json(spec.prune), "round": spec.streams.round}
            prunings.append(step)
        elif isinstance(spec, EditSpec):
            prunings.append({"key": mask.key, "edit": to_json(spec.edit)})
        assert not isinstance(spec, InitSpec | LoadSpec | AnalyseSpec), f"phase {mask.key[:12]} makes no mask"
        mask = spec.mask
    return {
        "entry": trial.entry,
        "seed": trial.seed,
        "round": evaluation.round,
        "draw": evaluation.draw,
        "density": count / trial.units,
        "trained": choice.trained,
        "key": evaluation.run.key,
        "prunings": prunings[::-1],
    }


def _sizes(original: nn.Module, small: nn.Module, state: State, pruned: tuple[Units, Mask] | None) -> dict[str, int]:
    """Parameters and bytes: dense, written, and as little as storing only what is kept takes."""
    from prunebench.kernels.sizes import dense_bytes, kept_bytes

    written = dense_bytes(state)
    single = pruned is not None and not any(pruned[0].members())
    return {
        "parameters": sum(p.numel() for p in small.parameters()),
        "dense_bytes": dense_bytes(original.state_dict()),
        "bytes": written,
        "sparse_bytes": kept_bytes(state, *pruned) if single and pruned is not None else written,
    }


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PrunebenchError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error


def _far(found: Any, wanted: Any) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
