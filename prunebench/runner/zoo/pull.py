"""Tickets out of a zoo, which may be a stranger's: every byte is checked before it is a tensor, and nothing is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench.api.errors import PrunebenchError
from prunebench.api.info import DataInfo
from prunebench.api.untrusted_text import printable
from prunebench.benchmark.choices import ModelChoice
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.runner.zoo.index import (
    CARD,
    INDEX,
    MASK,
    MOST_INDEX,
    START,
    WEIGHTS,
    ZooIndex,
    ZooTicket,
    matching,
    read_index,
)
from prunebench.runner.zoo.places import FolderPlace, ZooPlace, zoo_place
from prunebench.runner.zoo.push import card

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class LoadedTicket:
    """A judged network with its mask.

    Args:
        about: where it comes from and what it reached.
        weights: the judged network's, 0 wherever the mask is.
        start: those that its training started from.
        mask: for each pruned parameter a bool tensor, true where it stays; empty for a dense network.
    """

    about: ZooTicket
    weights: Mapping[str, Tensor]
    start: Mapping[str, Tensor]
    mask: Mapping[str, Tensor]

    def model(self) -> nn.Module:
        """The judged network, in evaluation mode, built by timm.

        Raises:
            PrunebenchError: it is none of timm's, or the weights are not those of such a network.
        """
        network = self.about.timm
        if network is None:
            raise PrunebenchError(f"{self.about.trial}: its network is none of timm's; load `weights` into your own")
        named = {"use": ModelChoice.default, "name": network.name, "args": network.args}
        try:
            use = Catalogue.load().use(named, slot="model", where="zoo")
            info = DataInfo("zoo", "", {}, tuple(network.shape), network.classes)
            model: nn.Module = run_manager([use]).hook.prunebench_model(data_info=info)
            model.load_state_dict(dict(self.weights))
        except Exception as error:  # what a stranger's arguments and tensors make of a constructor
            why = str(error).splitlines()
            raise PrunebenchError(
                f"{self.about.trial}: {printable(why[0] if why else type(error).__name__)}"
            ) from error
        return model.eval()


def tickets_of(place: str, **wanted: Any) -> tuple[ZooPlace, list[ZooTicket]]:
    """The tickets of a zoo that have the stated values. Raises PrunebenchError where there is no zoo."""
    found = zoo_place(place)
    data = found.read(INDEX, MOST_INDEX)
    if data is None:
        raise PrunebenchError(f"{place}: no zoo: it has no {INDEX}. `prunebench zoo push FILE --to {place}` makes one")
    return found, list(matching(read_index(data, place), wanted))


def load(place: ZooPlace, ticket: ZooTicket) -> LoadedTicket:
    """The tensors of a ticket, each file held against its digest.

    Raises:
        PrunebenchError: a file is absent, another, or holds no plain tensors; or weights are not 0 off the mask.
    """
    import torch

    tensors = {name: _tensors(data, ticket, name) for name, data in _files(place, ticket, ticket.files)}
    weights, mask = tensors.get(WEIGHTS), tensors.get(MASK, {})
    if weights is None:
        raise PrunebenchError(f"{ticket.trial}: it has no {WEIGHTS}")
    for name, keep in mask.items():
        value = weights.get(name)
        if value is None or value.shape != keep.shape or keep.dtype != torch.bool:
            raise PrunebenchError(f"{ticket.trial}: {MASK} does not fit {WEIGHTS} at {printable(name)}")
        if bool(value[~keep].any()):
            raise PrunebenchError(f"{ticket.trial}: {printable(name)} is not 0 where the mask is")
    return LoadedTicket(ticket, weights, tensors.get(START, {}), mask)


def pull(place: str, folder: Path, **wanted: Any) -> list[ZooTicket]:
    """Copy tickets into a folder, a zoo of its own; what is there already is left, so that a later call goes on.

    Raises:
        PrunebenchError: no ticket has the stated values, or a file is not what the index says.
    """
    source, tickets = tickets_of(place, **wanted)
    if not tickets:
        raise PrunebenchError(f"{place}: no such ticket. `prunebench zoo list {place}` shows what there is")
    target = FolderPlace(folder)
    for ticket in tickets:
        absent = [name for name in ticket.files if not _is_there(target, ticket, name)]
        files = {f"{ticket.path}/{name}": data for name, data in _files(source, ticket, absent)}
        # The card is written anew: a stranger's would be shown as ours.
        target.write({**files, f"{ticket.path}/{CARD}": card(ticket).encode()})
    with target.turn():
        before = target.read(INDEX, MOST_INDEX)
        index = ZooIndex(format=1, tickets=[]) if before is None else read_index(before, str(folder))
        target.write({INDEX: index.with_tickets({ticket.path: ticket for ticket in tickets}).text()})
    return tickets


def _is_there(place: ZooPlace, ticket: ZooTicket, name: str) -> bool:
    stated = ticket.files[name]  # type: ignore[index]
    try:
        data = place.read(f"{ticket.path}/{name}", stated.size)
    except PrunebenchError:
        return False
    return data is not None and hashlib.sha256(data).hexdigest() == stated.sha256


def _files(place: ZooPlace, ticket: ZooTicket, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        stated = ticket.files[name]  # type: ignore[index]
        data = place.read(f"{ticket.path}/{name}", stated.size)
        if data is None:
            raise PrunebenchError(f"{ticket.trial}: {name} is not there")
        if len(data) != stated.size or hashlib.sha256(data).hexdigest() != stated.sha256:
            raise PrunebenchError(f"{ticket.trial}: {name} is not the file that the index names")
        yield name, data


def _tensors(data: bytes, ticket: ZooTicket, name: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    try:
        return dict(sorted(load_tensors(data).items()))
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise PrunebenchError(f"{ticket.trial}: {name} holds no tensors ({printable(str(error))})") from None
