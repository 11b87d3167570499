"""Benchmark files as an enemy, or a slip of the hand, would write them: a sound file, changed at random places."""

from __future__ import annotations

import copy
import datetime
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import tomli_w

from prunebench.components.catalogue import Catalogue

SOUND = """
schema = 1
claim = "c"
note = "n"
seeds = [0, 1]
cut = 0.2
rounds = 2
densities = [0.8, 0.64]
data = [{ use = "mnist5k" }, { use = "mnist5k", label = "b", augment = "shift" }]
model = [{ name = "lenet_300_100", init = "xavier_normal" }, { name = "conv2", args = { drop_rate = 0.1 } }]

[train]
horizon = "200it"
batch = 60
optimizer = { use = "adam", lr = 1.2e-3 }
lr = [{ use = "milestones", at = ["50it"], factor = 0.1 }, { use = "warmup", over = "10it" }]

[find]
optimizer.lr = 0.01

[evaluate]
batch = 30

[measure]
every = "50it"
at = []
splits = ["train", "valid", "test"]
train_sample = 100

[[entry]]
name = "dense"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
analyse = ["movement", "layer-densities"]

[[entry]]
name = "late"
extends = "imp"
schedule = { use = "rewind", to = "50it" }

[[entry]]
name = "shuffled"
tickets = "imp"
ticket = "shuffle-within-layer"
draws = 2

[[entry]]
name = "g-{a}-{b}"
extends = "imp"
grid.a = { "find.optimizer.lr" = [0.1, 0.2] }
grid.b = { "evaluate.batch" = [30, 60] }

[[entry]]
name = "lw"
extends = "imp"
cut = 0.5
rounds = 1
select = { use = "layerwise", rates = { "*" = 0.5 } }

[[entry]]
name = "ft"
extends = "imp"
schedule = { use = "fine-tune", over = "20it", optimizer = { use = "sgd", lr = 0.01 } }

[[entry]]
name = "match"
extends = "imp"
select = { use = "match-lpr", of = "late" }
units = { use = "weights", include = ["*"] }

[[entry]]
name = "rigl"
extends = "imp"
score = "random"
schedule = "at-init"
mask_updates = [{ use = "rigl" }]
evaluate.horizon = "300it"
loss = []

[report]
against = "imp"
also = { use = "training-curves", entries = ["imp"] }

[execution]
workers = 1
checkpoint_seconds = 0
track = "jsonl"

[[expect]]
source = "s"
claim = "c"
better = "imp"
worse = "shuffled"
density = 0.64
published = { better = 0.9, worse = 0.8 }

[[expect]]
source = "s"
claim = "c"
better = "imp"
metric = "movement/ratio"
round = 2
than = { value = 1.0 }

[profile.smoke]
seeds = [0]
rounds = 2
train.horizon = "20it"
[[profile.smoke.entry]]
name = "imp"
draws = 2
"""

NUMBERS = (0, 1, -1, 2, 63, 1000, 10**6, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30)
FLOATS = (0.0, -0.0, 0.5, 1.0, 1.5, -3.25, 1e308, 1e-320, 1e18, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    *("", "*", ".", "imp", "dense", "late", "shuffled", "lw", "g-0.1-30", "no-such-entry", "{a}", "{a}{b}" * 40),
    *("0it", "1it", "5%", "200%", "0.0001ep", "3ep", "-5it", "1e3it", "1000000000000000000it", "9" * 30 + "it"),
    *("test/accuracy", "valid/early_stop_iteration", "movement/ratio", "start", "end", "a/b/c", "/", "cpu"),
    *("x" * 300, "x" * 5000, "\x00", "\x1b[31m", "\u202eevil", "é", "a\nb", "a.b.c", "../../x", "~", "/dev/zero"),
)
KEYS = (
    *("use", "name", "extends", "tickets", "grid", "train", "find", "evaluate", "lr", "loss", "optimizer", "horizon"),
    *("at", "label", "init", "weights", "cut", "rounds", "densities", "seeds", "entry", "entries", "profile", "data"),
    *("model", "schema", "args", "every", "over", "rates", "than", "value", "round", "x", "", "a.b", "find.batch"),
    *("equal_within", "published", "task", "prune", "stop", "batch", ".".join("a" * 40), "é", "\x00"),
)


@dataclass
class Case:
    """A file, and what the command line changes of it."""

    text: bytes
    changes: dict[str, Any] = field(default_factory=dict)


def case(number: int, catalogue: Catalogue) -> Case:
    """The case of a number: always the same."""
    rng = Random(number)
    table = tomllib.loads(SOUND)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _mutate(table, rng, tuple(catalogue.providers))
    try:
        text = tomli_w.dumps(table).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, AttributeError):
        text = SOUND.encode()
    if rng.random() < 0.1:
        text = _scrambled(text, rng)
    return Case(text, _changes(rng))


def _changes(rng: Random) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if rng.random() < 0.15:
        changes["profile"] = rng.choice(("smoke", "smoke", "smok", ""))
    if rng.random() < 0.1:
        changes["seeds"] = [rng.choice(NUMBERS) for _ in range(rng.choice((0, 1, 2, 3, 2000)))]
    if rng.random() < 0.1:
        changes["only"] = [rng.choice(TEXTS) for _ in range(rng.choice((1, 2)))]
    if rng.random() < 0.3:
        key = ".".join(rng.choice(KEYS) for _ in range(rng.choice((1, 1, 2, 2, 3))))
        value = rng.choice((*NUMBERS, *FLOATS, *TEXTS, "[" * 5000, "{ use = 3 }", "[1, 2", "1\nx = 2", "=" * 5))
        changes["settings"] = [f"{rng.choice(('', '', 'entry.imp.', 'train.'))}{key}={value}"]
    return changes


def _scrambled(text: bytes, rng: Random) -> bytes:
    """The file with a few bytes changed, cut out or put in."""
    for _ in range(rng.choice((1, 2, 5))):
        at = rng.randrange(len(text) + 1)
        cut = rng.choice((0, 0, 1, 10))
        new = rng.choice(
            (b"", b"[", b"]", b"{", b'"', b"'", b"=", b"\xff", b"\r", b"\x00", b"#", b"\xef\xbb\xbf", b"0x", b"1e")
        )
        text = text[:at] + new + text[at + cut :]
    return text


def _mutate(table: dict[str, Any], rng: Random, names: Sequence[str]) -> None:
    places = list(_places(table))
    owner, key = rng.choice(places)
    what = rng.random()
    if what < 0.45:
        owner[key] = _value(rng, table, names)
    elif what < 0.55:
        del owner[key]
    elif what < 0.65:
        other, other_key = rng.choice(places)
        owner[key] = copy.deepcopy(other[other_key])
    elif what < 0.75:
        owner[key] = rng.choice(([owner[key]], {"use": owner[key]}, {rng.choice(KEYS): owner[key]}))
    elif what < 0.8 and isinstance(owner[key], list):
        owner[key] = owner[key] * rng.choice((0, 2, 50, 3000))
    elif isinstance(owner, dict):
        owner[rng.choice((*KEYS, *owner, *names))] = _value(rng, table, names)
    else:
        owner.append(_value(rng, table, names))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every table or list of a table, with each of its keys."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


def _value(rng: Random, table: dict[str, Any], names: Sequence[str], depth: int = 0) -> Any:
    kind = rng.randrange(12 if depth < 4 else 6)
    if kind < 2:
        return rng.choice(NUMBERS)
    if kind == 2:
        return rng.choice(FLOATS)
    if kind == 3:
        return rng.choice(TEXTS)
    if kind == 4:
        return rng.choice((True, False, datetime.date(2020, 1, 1), datetime.time(1), datetime.datetime(2020, 1, 1)))
    if kind == 5:
        return rng.choice(names)
    if kind == 6:
        return [_value(rng, table, names, depth + 1) for _ in range(rng.choice((0, 1, 2, 3)))]
    if kind == 7:
        return {rng.choice(KEYS): _value(rng, table, names, depth + 1) for _ in range(rng.choice((0, 1, 2, 3)))}
    if kind == 8:
        keys = {rng.choice(KEYS): _value(rng, table, names, depth + 1) for _ in range(rng.choice((0, 1, 2)))}
        return {"use": rng.choice((rng.choice(names), _value(rng, table, names, depth + 1))), **keys}
    if kind == 9:
        return _nested(rng)
    owner, key = rng.choice(list(_places(table)))
    return copy.deepcopy(owner[key])


def _nested(rng: Random) -> Any:
    value: Any = rng.choice((1, "x", {}))
    for _ in range(rng.choice((3, 30, 80))):
        value = [value] if rng.random() < 0.5 else {rng.choice(("use", "a")): value}
    return value
