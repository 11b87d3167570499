"""What is wrong with a table of a file, as sentences: the key, what is wrong, and the nearest known names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from prunebench.api.errors import nearest
from prunebench.api.positions import Position

Path = tuple[str | int, ...]

PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
}
"""pydantic's kinds of errors that TOML has other words for."""

LONGEST = 100
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True)
class Problem:
    """One error of a table.

    Args:
        path: where, from the table on.
        hint: what may help, after the sentence's own end.
        of: whose key it is, such as ` (component "sgd")`.
        missing: whether something is absent, and not wrong.
    """

    path: Path
    what: str
    hint: str = ""
    of: str = ""
    missing: bool = False

    @property
    def sentence(self) -> str:
        """What is wrong, without the place."""
        return f"{self.what}{self.of}{self.hint}"

    def at(self, place: str) -> str:
        """The sentence after its place: `place` names the table, with the dot or colon that ends it."""
        # What is wrong with a table as a whole has no path of its own.
        return f"{place}{written(self.path)}".rstrip(".: ") + f": {self.sentence}"

    def below(self, *path: str | int) -> Problem:
        """The same, seen from a table further up."""
        return replace(self, path=(*path, *self.path))


def problems(error: ValidationError, known: Iterable[str] = (), of: str = "") -> list[Problem]:
    """pydantic's errors; an unknown key is answered with the nearest of `known`, the keys of the table itself."""
    items = error.errors(include_url=False)
    # A list is short of its wrong items, too, which are named themselves.
    lists = {item["loc"][:-1] for item in items}
    return [_problem(item, known, of) for item in items if item["type"] != "too_short" or item["loc"] not in lists]


def refusal(several: Iterable[Problem]) -> ValidationError:
    """Problems as the error that a validator raises; pydantic puts the path to the table before theirs."""
    return ValidationError.from_exception_data("table", list(_details(several)))


def written(path: Sequence[str | int]) -> str:
    """A path into a file as a person writes it: `train.lr[1].factor`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _details(several: Iterable[Problem]) -> Iterator[InitErrorDetails]:
    for one in several:
        parts = {"what": one.what, "hint": one.hint, "of": one.of, "missing": one.missing}
        yield {"type": PydanticCustomError("problem", "{what}{of}{hint}", parts), "loc": one.path, "input": None}


def _problem(item: ErrorDetails, known: Iterable[str], of: str) -> Problem:
    kind, path = item["type"], item["loc"]
    if kind == "problem":
        already = item["ctx"]
        return Problem(path, already["what"], already["hint"], already["of"] or of, already["missing"])
    if kind == "extra_forbidden":
        others = [key for key in known if key != path[-1]] if len(path) == 1 else []
        return Problem(path, "unknown key", f".{nearest(str(path[-1]), others)}", of)
    if kind == "missing":
        return Problem(path, "missing", of=of, missing=True)
    what = PLAIN.get(kind) or item["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    got = item["input"]
    if kind == "literal_error" and item["ctx"]["expected"] in ("True", "False"):
        what = what.lower()
    if kind == "too_short" and not got:
        what = "the list is empty"
    elif kind == "too_long":
        what = f"the list has {len(got):,} values; at most {item['ctx']['max_length']:,} can be"
    # A whole table or list says no more than its key does, unless another type is needed there.
    whole = isinstance(got, dict | BaseModel | Position) or (isinstance(got, list | tuple) and kind not in PLAIN)
    repeated = repr(got) in what or f'"{got}"' in what
    return Problem(path, what + ("" if whole or repeated else f", not {shortened(got)}"), of=of)


def shortened(value: object) -> str:
    """A value as an error repeats it."""
    text = repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
