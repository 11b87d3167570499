"""`provenance.json`: where the numbers of a leaderboard come from."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunebench.api.errors import PrunebenchError
from prunebench.api.problems import problems
from prunebench.api.provenance import Provenance
from prunebench.benchmark.expectations import Expect
from prunebench.results.reading import content_in, parsed

PROVENANCE = "provenance.json"

FIRST_SCHEMA = 1

SCHEMA = 1
"""Of a leaderboard's folder; raised whenever a field changes its meaning. Folders without one are of the first."""


class _Schema(BaseModel):
    """The one field that every version has, so that a newer file is named as such and not as damaged."""

    model_config = ConfigDict(strict=True)

    schema_version: int = Field(default=FIRST_SCHEMA, alias="schema")

    @classmethod
    def of(cls, content: bytes) -> _Schema:
        return cls.model_validate_json(content)


def provenance_text(provenance: Provenance) -> str:
    """The content of `provenance.json`: sorted, so that two equal runs differ only where they do."""
    fields = {**provenance.to_json(), "schema": SCHEMA}
    return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write `provenance.json`."""
    (folder / PROVENANCE).write_text(provenance_text(provenance), encoding="utf-8", newline="\n")


def read_provenance(folder: Path) -> Provenance:
    """The provenance of a leaderboard.

    Raises: PrunebenchError if the folder has none, a damaged one, or one of a newer prunebench.
    """
    return parsed_provenance(content_in(folder, PROVENANCE), str(Path(folder) / PROVENANCE))


def parsed_provenance(content: bytes, where: str = PROVENANCE) -> Provenance:
    """The content of a `provenance.json`. Raises PrunebenchError, with file and field."""
    schema = parsed(content, _Schema.of, where).schema_version
    if schema not in range(FIRST_SCHEMA, SCHEMA + 1):
        raise PrunebenchError(
            f"{where}: written with schema {schema}, and this prunebench reads up to {SCHEMA}. Install a newer one."
        )
    provenance = parsed(content, Provenance.model_validate_json, where)
    for number, expectation in enumerate(provenance.report.expectations, start=1):
        try:
            Expect.model_validate(expectation)
        except ValidationError as error:
            raise PrunebenchError(
                f"{where}: damaged: report.expectations: expectation {number}: {problems(error)[0].at('')}"
            ) from error
    return provenance
