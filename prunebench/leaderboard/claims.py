"""A list of published claims held against all boards: which are decided and how, and what the others would take.

The list is a TOML file, `claims.toml`, beside the boards. It names for each claim the `[[expect]]` rows that decide it,
by what they compare, and the training runs that those rows need. What boards say of them is read off the boards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from pydantic import Field, ValidationError, model_validator

from prunebench.api.board import Board, Expectation, ExpectationSide, Judgement
from prunebench.api.errors import ConfigError
from prunebench.api.problems import problems
from prunebench.api.strict import Number, StrictTable, Whole
from prunebench.benchmark.toml import read_table
from prunebench.leaderboard.expectations import goes_up
from prunebench.leaderboard.reduced import is_reduced

FILE = "claims.toml"
"""The list's name, in the folder of the boards' folders."""

State = Literal["reproduced", "contradicted", "mixed", "undecided", "not judged", "not run"]
"""Of a claim with several rows: "mixed" if they say different things, "not judged" if only reduced boards have them."""

CORE = 20e9
"""Multiply-accumulates a second of one core in training, assumed where no run was timed."""


class Row(StrictTable):
    """The `[[expect]]` rows of one file that compare these two entries by this metric."""

    file: str
    better: str
    metric: str
    worse: str = ""
    """The better entry itself where a row compares two places, metrics or a fixed number."""
    equal: bool = False
    """Whether the two are expected to be equal, also on boards that are older than the margin of the file's row."""

    def matches(self, file: str, expectation: Expectation) -> bool:
        """Whether an expectation of a board of `file` is such a row."""
        worse = expectation.worse
        other = worse.entry if isinstance(worse, ExpectationSide) else expectation.better.entry
        stated = (expectation.better.entry, other, expectation.better.metric)
        return PurePosixPath(file).name == self.file and stated == (self.better, self.worse or self.better, self.metric)


class Rate(StrictTable):
    """How fast training runs of one kind go.

    `core_seconds`: of one run on one core, measured. Else `gpu_images`: training images a second of one GPU, assumed,
    and `macs`, multiply-accumulates of one image forward, of which a training step takes three times as many.
    """

    name: str
    core_seconds: Number | None = Field(None, gt=0)
    gpu_images: Number | None = Field(None, gt=0)
    macs: Number | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> Rate:
        if (self.core_seconds is None) == (self.gpu_images is None) or (self.gpu_images is None) != (self.macs is None):
            raise ValueError("state core_seconds, or gpu_images and macs")
        return self


class Work(StrictTable):
    """What must be trained: the distinct runs of some entries of a file, all seeds, and the images that they take."""

    file: str
    entries: tuple[str, ...]
    runs: Whole = Field(gt=0)
    images: Whole = Field(gt=0)
    rate: str
    besides: str = ""
    """What is not training, such as ablations, in words."""


class Claim(StrictTable):
    """One published claim. `differs`: what of our recipe is not the paper's, or is not said there, by file or board."""

    number: Whole = Field(ge=1)
    source: str
    claim: str
    published: str
    rows: tuple[Row, ...] = Field(min_length=1)
    work: tuple[Work, ...] = Field(min_length=1)
    differs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """What boards without such a row have on it, in words: shown, and in no state."""


class ClaimList(StrictTable):
    """The whole file."""

    rate: tuple[Rate, ...]
    claim: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_has_its_number_and_rate(self) -> ClaimList:
        if [one.number for one in self.claim] != list(range(1, len(self.claim) + 1)):
            raise ValueError("claims are numbered 1, 2, ... in order")
        known = {rate.name for rate in self.rate}
        unknown = [work.rate for claim in self.claim for work in claim.work if work.rate not in known]
        if unknown:
            raise ValueError(f'rate: no rate "{unknown[0]}"; there are {", ".join(sorted(known))}')
        return self


class OnBoard(Protocol):
    """A board and the name that it goes by."""

    @property
    def slug(self) -> str:
        """The name of its folder."""
        ...

    @property
    def board(self) -> Board:
        """What it shows."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What one board says of one row of a claim."""

    board: str
    judgement: Judgement
    reduced: bool
    equal: bool = False

    @property
    def against(self) -> bool:
        """Whether a difference has the other sign than published; of an equality, whether its interval excludes 0."""
        judgement, pair = self.judgement, self.judgement.pair
        if pair is None:
            return False
        if "contradicted" in (judgement.verdict, judgement.direction) and not self.equal:
            return True
        if self.equal or judgement.expectation.equal_within is not None:
            return pair.ends is not None and not pair.ends[0] <= 0 <= pair.ends[1]
        return pair.difference != 0 and (pair.difference < 0) == goes_up(judgement.expectation, judgement.metric)


@dataclass(frozen=True)
class ClaimState:
    """A claim with all that boards say of it.

    Args:
        work: what it takes to decide it, each with how fast that goes.
    """

    claim: Claim
    evidence: Sequence[Evidence]
    work: Sequence[tuple[Work, Rate]]

    @cached_property
    def state(self) -> State:
        """What the boards say together; those that are reduced say nothing where another one is whole."""
        whole = {one.judgement.verdict for one in self.evidence if one.judgement.verdict != "not judged"}
        if not whole:
            return "not judged" if any(one.judgement.pair for one in self.evidence) else "not run"
        return next(iter(whole)) if len(whole) == 1 else "mixed"

    @property
    def against(self) -> Sequence[Evidence]:
        """What does not go the published way, on whole or reduced boards, significantly or not."""
        return [one for one in self.evidence if one.against]


def core_hours(work: Work, rate: Rate) -> float:
    """Hours of one CPU core for the training runs; half of them on two cores."""
    if rate.core_seconds is not None:
        return work.runs * rate.core_seconds / 3_600
    assert rate.macs is not None
    return work.images * 3 * rate.macs / CORE / 3_600


def gpu_hours(work: Work, rate: Rate) -> float | None:
    """Hours of one GPU; None where runs are so small that a core is the place for them."""
    return None if rate.gpu_images is None else work.images / rate.gpu_images / 3_600


def read_claims(path: Path) -> ClaimList:
    """The list in a file.

    Raises:
        ConfigError: the file cannot be read, or says something else than a list of claims.
    """
    try:
        return ClaimList.model_validate(read_table(path))
    except ValidationError as error:
        raise ConfigError([one.at("") for one in problems(error)]) from None


def states_of(claims: ClaimList, boards: Sequence[OnBoard]) -> list[ClaimState]:
    """Each claim with what the boards say of it, whole boards first."""
    rates = {rate.name: rate for rate in claims.rate}
    found = []
    for claim in claims.claim:
        evidence = [
            Evidence(one.slug, judgement, is_reduced(one.board.provenance), row.equal)
            for one in boards
            for row in claim.rows
            for judgement in one.board.expectations
            if row.matches(one.board.provenance.file, judgement.expectation)
        ]
        evidence.sort(key=lambda one: (one.reduced, one.board))
        found.append(ClaimState(claim, evidence, [(work, rates[work.rate]) for work in claim.work]))
    return found
