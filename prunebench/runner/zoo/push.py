"""Tickets of a benchmark -> a zoo: judged weights and mask as plain tensors, and a card of where they come from."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from prunebench.api.errors import LostArtifact, PrunebenchError
from prunebench.api.planning import Evaluation
from prunebench.api.results import final_rows
from prunebench.api.untrusted_text import printable
from prunebench.benchmark.choices import ModelChoice
from prunebench.engine.scheduler import Execution
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import ComponentSpec, ModelSpec, TrainSpec
from prunebench.plan.trial import Trial
from prunebench.results.measured_rows import rows_of
from prunebench.results.outputs import Outputs
from prunebench.runner.preparing import Prepared
from prunebench.runner.zoo.index import (
    CARD,
    INDEX,
    MASK,
    MOST_INDEX,
    START,
    WEIGHTS,
    TimmNetwork,
    ZooFile,
    ZooIndex,
    ZooTicket,
    read_index,
)
from prunebench.runner.zoo.places import ZooPlace
from prunebench.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pushed:
    """What was written, and the tickets that the store lacks, by the name of their trial."""

    tickets: tuple[ZooTicket, ...]
    absent: tuple[str, ...]


def push(prepared: Prepared, place: ZooPlace, name: str, rounds: Sequence[int] | None = None) -> Pushed:
    """Write the judged tickets of a benchmark that the store has; nothing is trained.

    Args:
        name: of the place, for errors.
        rounds: those alone.
    """
    store = prepared.open_store()
    written: dict[str, ZooTicket] = {}
    absent: list[str] = []
    for trial in prepared.plan.trials:
        for evaluation in trial.evaluations:
            if rounds is not None and evaluation.round not in rounds:
                continue
            try:
                ticket, files = _ticket(prepared, store, trial, evaluation)
            except LostArtifact:
                absent.append(
                    f"{trial.entry}, {trial.model}, {trial.data}, seed {trial.seed}, round {evaluation.round}"
                )
                continue
            place.write(files)
            written[ticket.path] = ticket
    if written:
        with place.turn():
            before = place.read(INDEX, MOST_INDEX)
            index = ZooIndex(format=1, tickets=[]) if before is None else read_index(before, name)
            index = index.with_tickets(written)
            place.write({CARD: _overview(index).encode()})
            place.write({INDEX: index.text()})  # last: whoever reads it finds what it names
    return Pushed(tuple(written.values()), tuple(absent))


def _ticket(
    prepared: Prepared, store: Store, trial: Trial, evaluation: Evaluation
) -> tuple[ZooTicket, dict[str, bytes]]:
    from prunebench.engine.masking import MaskedParameters
    from prunebench.engine.workbench import DivergedParentError, Workbench
    from prunebench.store.tensors import dump_tensors

    spec = spec_of(prepared.plan.phases, evaluation.run.key, TrainSpec)
    workbench = Workbench(store, prepared.benchmark.catalogue, prepared.root, "cpu")
    units_spec = ComponentSpec.of(prepared.benchmark.all_entries[trial.entry].units)
    try:
        model = workbench.model(spec.model, workbench.tensors(evaluation.run.end))
        start = workbench.tensors(evaluation.run.ticket.weights)
        mask = workbench.mask(evaluation.mask)
    except DivergedParentError:
        raise LostArtifact(evaluation.run.end.address, "it diverged") from None
    content: dict[str, Mapping[str, Tensor]] = {START: start}
    if mask is not None:
        units = workbench.units(units_spec, spec.task, spec.model, model)
        MaskedParameters(model, units, mask).zero_weights()
        content[MASK] = {parameter: keep.contiguous() for parameter, keep in units.expand(mask).items()}
    content[WEIGHTS] = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    files = {file: dump_tensors(tensors) for file, tensors in content.items()}
    alone = replace(trial, evaluations=(evaluation,), analyses=())
    rows = rows_of(replace(prepared.plan, trials=(alone,), left_out=()), Outputs(store, Execution()))
    metric = prepared.benchmark.report.metric
    values = [row.value for row in final_rows(rows) if f"{row.split}/{row.metric}" == metric]
    density = next((row.density for row in rows if row.density is not None), 1.0)
    folder = "/".join(
        [
            *(_plain(part) for part in (prepared.benchmark.name, trial.model, trial.data, trial.entry)),
            f"seed{trial.seed}",
            f"round{evaluation.round}" + (f"-draw{evaluation.draw}" if evaluation.draw else ""),
        ]
    )
    ticket = ZooTicket(
        path=folder,
        benchmark=prepared.benchmark.name,
        entry=trial.entry,
        model=trial.model,
        data=trial.data,
        seed=trial.seed,
        round=evaluation.round,
        draw=evaluation.draw,
        density=density,
        metric=metric,
        value=values[0] if values else None,
        key=evaluation.run.key,
        environment=store.environment.id,
        timm=_network(spec.model),
        files={
            file: ZooFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data))  # type: ignore[misc]
            for file, data in files.items()
        },
    )
    return ticket, {f"{folder}/{file}": data for file, data in {**files, CARD: card(ticket).encode()}.items()}


def _plain(text: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._=-]+", "_", text).strip("._=-") or "x"
    if plain == text and len(text) <= 60:
        return text
    return f"{plain[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _network(model: ModelSpec) -> TimmNetwork | None:
    """How timm builds a network; None where it is none of timm's, or takes what an index does not say."""
    if model.use != ModelChoice.default or len(model.shape) != 3:
        return None
    import timm

    name = str(model.config["name"])
    entrypoint = timm.model_entrypoint(name.partition(".")[0])
    args = dict(model.config.get("args", {}))
    sized = "img_size" in inspect.signature(entrypoint).parameters and "img_size" not in args
    try:
        return TimmNetwork(
            name=name,
            classes=model.classes,
            shape=list(model.shape),
            img_size=sized,
            own=not entrypoint.__module__.startswith("timm."),
            args=args,
        )
    except ValidationError:
        return None


def card(ticket: ZooTicket) -> str:
    """The model card of a ticket. What it says of itself may be a stranger's: it is text, and no markup."""
    value = "–" if ticket.value is None else f"{ticket.value:.4f}"
    entry, model, data = (_cell(text) for text in (ticket.entry, ticket.model, ticket.data))
    text = f"""---
library_name: {"timm" if ticket.timm is not None else "pytorch"}
tags: [pruning, lottery-ticket]
---
# {entry}, {model} on {data}, density {ticket.density:.4f}, seed {ticket.seed}

| | |
|---|---|
| benchmark | {_cell(ticket.benchmark)} |
| density of the units that may be pruned | {ticket.density:.6f} |
| {_cell(ticket.metric)} | {value} |
| round, draw | {ticket.round}, {ticket.draw} |
| key of the run that judged it | `{ticket.key}` |
| environment | {_cell(ticket.environment)} |

`{WEIGHTS}` are the judged weights, 0 wherever the mask is; `{START}` those that its training started from; `{MASK}` has
a boolean tensor for each pruned parameter, true where it stays (none for a dense network).
"""
    return text + (f"\n```python\n{snippet(ticket.timm)}\n```\n" if ticket.timm is not None else "")


def snippet(network: TimmNetwork) -> str:
    """The lines that load the judged network with timm alone."""
    written = ", ".join(f"{key}={value!r}" for key, value in network.arguments.items())
    own = "import prunebench_plugins.models.architectures  # this network is the suite's own\n" if network.own else ""
    return (
        f"import timm, safetensors.torch\n{own}"
        f"model = timm.create_model({network.name!r}, {written})\n"
        f"model.load_state_dict(safetensors.torch.load_file({WEIGHTS!r}))"
    )


def _cell(text: str) -> str:
    plain = printable(text)
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", plain)


def _overview(index: ZooIndex) -> str:
    lines = [_line(ticket) for ticket in sorted(index.tickets, key=lambda ticket: ticket.path)]
    return "\n".join(
        [
            "# Tickets",
            "",
            "Pruned networks with their masks, as prunebench judged them. Each folder has a card of its own.",
            "",
            "| folder | density | judged by | value |",
            "|---|--:|---|--:|",
            *lines,
            "",
        ]
    )


def _line(ticket: ZooTicket) -> str:
    value = "–" if ticket.value is None else f"{ticket.value:.4f}"
    return f"| [{ticket.path}]({ticket.path}/{CARD}) | {ticket.density:.4f} | {_cell(ticket.metric)} | {value} |"


def rounds_at(prepared: Prepared, densities: Sequence[str]) -> set[int]:
    """The rounds of tickets at printed densities. Raises PrunebenchError where no trial has one."""
    found = set()
    for text in densities:
        here = {round for round, share in _densities(prepared) if _printed(share, text)}
        if not here:
            known = sorted({f"{share:.3g}" for _, share in _densities(prepared)})
            raise PrunebenchError(f"--density: no ticket has {text}; there are {', '.join(known)}")
        found |= here
    return found


def _densities(prepared: Prepared) -> Iterator[tuple[int, float]]:
    for trial in prepared.plan.trials:
        for evaluation in trial.evaluations:
            yield evaluation.round, evaluation.run.ticket.count / trial.units


def _printed(share: float, text: str) -> bool:
    digits = len(text.partition(".")[2])
    try:
        return abs(share - float(text)) <= 0.5 * 10.0**-digits * (1 + 1e-9)
    except ValueError:
        raise PrunebenchError(f'--density: "{text}" is not a number') from None
