"""`details.jsonl`, behind the rows: an evaluated ticket or an analysis a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from prunebench.api.details import Detail, EvaluationDetail
from prunebench.api.rows import Stated
from prunebench.results.reading import content_in, lines_of, lines_text

DETAILS = "details.jsonl"

_DETAIL: TypeAdapter[Detail] = TypeAdapter(Detail)


def details_text(details: Iterable[Detail]) -> str:
    """The content of `details.jsonl`."""
    return lines_text(details)


def parsed_details(content: bytes, where: str = DETAILS) -> list[Detail]:
    """The details in the content of a `details.jsonl`. Raises PrunebenchError, with file, line and field."""
    return shared(lines_of(content, _DETAIL.validate_json, where))


def shared(details: Iterable[Detail]) -> list[Detail]:
    """The details, which hold in common what all points of all curves state."""
    found, stated = [], Stated()
    for detail in details:
        if isinstance(detail, EvaluationDetail):
            for part in (*detail.curve, *detail.layers):
                stated.share(part)
        found.append(detail)
    return found


def write_details(folder: Path, details: Iterable[Detail]) -> None:
    """Write one line each, in the order given."""
    (folder / DETAILS).write_text(details_text(details), encoding="utf-8", newline="\n")


def read_details(folder: Path) -> list[Detail]:
    """The details of a leaderboard, in file order.

    Raises: PrunebenchError, with file, line and field, if one is damaged.
    """
    return parsed_details(content_in(folder, DETAILS), str(Path(folder) / DETAILS))
