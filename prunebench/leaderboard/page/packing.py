"""What stands behind the cells of a large page, packed a trial each until somebody opens it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

WHOLE = 1_000_000
"""Characters of all trials together up to which a page holds them as they are."""

_LISTED = ("id", "name", "model", "data", "seed", "outcome", "route")
"""What the page shows of a trial before it is opened."""


def packed(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `trials` gives, with the rest of each trial packed if there is too much of it.

    A browser that opens a page with tens of thousands of rows reads a tenth of it. Packed is raw deflate in base64,
    which every browser since 2023 unpacks by itself, also from disk.
    """
    rests = [{name: value for name, value in trial.items() if name not in _LISTED} for trial in told["trials"]]
    if sum(len(_text(rest)) for rest in rests) <= WHOLE:
        return told
    listed = [{name: trial[name] for name in _LISTED} for trial in told["trials"]]
    return {
        **told,
        "trials": [{**trial, "packed": _packed(rest)} for trial, rest in zip(listed, rests, strict=True)],
    }


def unpacked(trial: Mapping[str, Any]) -> dict[str, Any]:
    """A trial as it was."""
    if "packed" not in trial:
        return dict(trial)
    rest = json.loads(zlib.decompress(base64.b64decode(trial["packed"]), -zlib.MAX_WBITS))
    for ticket in rest["tickets"]:
        if "curves" in ticket:
            ticket["curves"] = [
                [index, [None if n is None else n / 10**places for n in whole]]
                for index, places, whole in ticket["curves"]
            ]
    return {**{name: trial[name] for name in _LISTED}, **rest}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _packed(rest: Mapping[str, Any]) -> str:
    tickets = [
        {**ticket, "curves": [[index, *_whole(values)] for index, values in ticket["curves"]]}
        if "curves" in ticket
        else ticket
        for ticket in rest["tickets"]
    ]
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(squeezed.compress(_text({**rest, "tickets": tickets}).encode()) + squeezed.flush()).decode()


def _whole(values: Sequence[float | None]) -> tuple[int, list[int | None]]:
    """Numbers of a few digits as whole numbers, which take less room, and by which power of ten they are divided."""
    texts = [None if value is None else repr(value) for value in values]
    if any(text is not None and "e" in text for text in texts):
        return _exactly(texts)
    # What `_exactly` does, without an exact number for each of some hundred thousand.
    parts = [None if text is None else text.partition(".") for text in texts]
    places = max((len(part[2]) for part in parts if part is not None), default=0)
    return places, [None if part is None else int(part[0] + part[2].ljust(places, "0")) for part in parts]


def _exactly(texts: Sequence[str | None]) -> tuple[int, list[int | None]]:
    exact = [None if text is None else Decimal(text) for text in texts]
    places = max((-int(number.as_tuple().exponent) for number in exact if number is not None), default=0)
    places = max(0, places)
    return places, [None if number is None else int(number.scaleb(places)) for number in exact]
