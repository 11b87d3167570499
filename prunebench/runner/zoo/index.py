"""What a zoo holds: one JSON file, parsed into types before anything of it is used, since a zoo may be a stranger's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from prunebench.api.errors import PrunebenchError
from prunebench.api.rows import Record
from prunebench.api.untrusted_text import printable

INDEX, CARD = "index.json", "README.md"
WEIGHTS, START, MASK = "weights.safetensors", "start.safetensors", "mask.safetensors"
FORMAT = 1
MOST_INDEX, MOST_FILE, MOST_TICKETS = 2**25, 2**34, 100_000
"""Bytes of an index and of a file, and tickets, that are read."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,99}")

Text = Annotated[str, StringConstraints(max_length=300)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


def checked_path(path: str) -> str:
    """A path below a zoo: parts of plain letters. Raises ValueError on any other."""
    parts = path.split("/")
    if not 1 <= len(parts) <= 8 or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{path!r} is no path of a zoo")
    return path


class ZooFile(Record):
    """A file of a ticket: its sha256 and its size in bytes."""

    sha256: Digest
    size: Annotated[int, Field(ge=0, le=MOST_FILE)]


Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,100}$")]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Argument = bool | int | float | Word | None


class TimmNetwork(Record):
    """A network of timm's registry.

    Attributes:
        name: as timm.create_model takes it.
        classes, shape: of the data: how many classes, and (channels, height, width).
        img_size: whether its constructor is told the size of the images.
        own: whether it is one that the suite adds to the registry.
        args: further arguments of the constructor.
    """

    name: Word
    classes: Size
    shape: Annotated[list[Size], Field(min_length=3, max_length=3)]
    img_size: bool
    own: bool
    args: dict[Word, Argument | list[Argument]]

    @property
    def arguments(self) -> dict[str, Any]:
        """Of timm.create_model, beside the name."""
        size = {"img_size": list(self.shape[1:])} if self.img_size else {}
        return {"num_classes": self.classes, "in_chans": self.shape[0], **size, **self.args}


class ZooTicket(Record):
    """A judged ticket of a zoo.

    Attributes:
        path: its folder below the zoo.
        benchmark, entry, model, data, seed, round, draw: where it comes from, as in results.jsonl.
        density: the fraction kept of the units that may be pruned.
        metric: what it was judged by, SPLIT/METRIC.
        value: that number; null where there is none.
        key: of the phase that judged it.
        environment: the id of the environment that it was computed in.
        timm: how timm builds the network; null where it is none of timm's.
        files: by name: the judged weights, zero where the mask is; the weights that it starts from; the mask.
    """

    path: Text
    benchmark: Text
    entry: Text
    model: Text
    data: Text
    seed: Whole
    round: Whole
    draw: Whole
    density: Annotated[float, Field(ge=0, le=1)]
    metric: Text
    value: float | None
    key: Digest
    environment: Text
    timm: TimmNetwork | None
    files: dict[Literal["weights.safetensors", "start.safetensors", "mask.safetensors"], ZooFile]

    @model_validator(mode="after")
    def _a_path(self) -> ZooTicket:
        checked_path(self.path)
        return self

    @property
    def trial(self) -> str:
        """What a person calls it."""
        return printable(f"{self.entry}, {self.model}, {self.data}, seed {self.seed}, density {self.density:.4g}")


class ZooIndex(Record):
    """All tickets of a zoo."""

    format: Literal[1]
    tickets: Annotated[list[ZooTicket], Field(max_length=MOST_TICKETS)]

    @model_validator(mode="after")
    def _each_once(self) -> ZooIndex:
        if len({ticket.path for ticket in self.tickets}) < len(self.tickets):
            raise ValueError("two tickets have one folder")
        return self

    def text(self) -> bytes:
        """As it is written: equal indices, equal bytes."""
        ordered = sorted((ticket.to_json() for ticket in self.tickets), key=lambda ticket: ticket["path"])
        return (json.dumps({"format": self.format, "tickets": ordered}, indent=1) + "\n").encode()

    def with_tickets(self, tickets: Mapping[str, ZooTicket]) -> ZooIndex:
        """The index with tickets by path, in place of those that were there."""
        both = {**{ticket.path: ticket for ticket in self.tickets}, **tickets}
        return ZooIndex(format=1, tickets=list(both.values()))


def read_index(data: bytes, place: str) -> ZooIndex:
    """An index. Raises PrunebenchError with what is wrong of it."""
    try:
        return ZooIndex.model_validate_json(data)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)[:3]]
        raise PrunebenchError(f"{place}: {INDEX} is no index of a zoo: {printable('; '.join(lines))}") from None


def matching(index: ZooIndex, wanted: Mapping[str, Any]) -> Iterator[ZooTicket]:
    """The tickets that have the stated values; a density counts as it is printed."""
    for ticket in index.tickets:
        if all(_is(getattr(ticket, name), value) for name, value in wanted.items() if value is not None):
            yield ticket


def _is(own: Any, wanted: Any) -> bool:
    if not isinstance(own, float):
        return bool(own == wanted)
    text = str(wanted)
    digits = len(text.partition(".")[2]) if "." in text and "e" not in text else 12
    return abs(own - float(wanted)) <= 0.5 * 10.0**-digits * (1 + 1e-9)
