"""The tables of a benchmark file beside its entries, one model each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from prunebench.api.component import BoundComponent, Slot
from prunebench.api.positions import Position
from prunebench.api.strict import EarlyKey, InWords, Number, StrictTable, Whole
from prunebench.benchmark import bounds
from prunebench.benchmark.densities import ChainKeys
from prunebench.benchmark.expectations import Expect

Split = Literal["train", "valid", "test"]


class Measure(StrictTable):
    """When and on what runs are measured. Part of the identity of curves, never of the runs."""

    every: Position | None = Field(None, examples=["1ep"])
    """A point of the curve each time this much has been trained."""
    at: tuple[Position, ...] = Field((), examples=[["500it", "50%"]])
    """Further points, which are rows of the results too."""
    splits: Annotated[tuple[Split, ...], InWords(default="all three")] = Field(
        ("train", "valid", "test"), examples=[["train", "test"]]
    )
    """What is measured."""
    train_sample: Whole = Field(10_000, gt=0)
    """Examples of the fixed, un-augmented, evenly spaced sample of train that is measured."""


class Report(StrictTable):
    """What the leaderboard ranks by."""

    metric: Annotated[str, InWords(type='`"SPLIT/METRIC"`', default="the task's primary metric on test")] = Field(
        "", examples=["test/loss", "valid/early_stop_iteration"]
    )
    """What is ranked; the split must be measured."""
    against: Annotated[str | None, InWords(type="name of an entry")] = Field(None, examples=["imp"])
    """What the others are compared with."""
    alpha: Number = Field(0.05, gt=0, lt=1)
    """The level of significance."""
    axis: Literal["density", "density_all", "density_macs", "latency"] = "density"
    """What entries are compared at: density of the units, or a cost that entries with other units share. "latency" is
    what an analysis of each entry measured as `latency_share`."""
    at: Annotated[tuple[Number, ...], InWords(type="list of numbers, 0 < x < 1")] = Field((), examples=[[0.5, 0.25]])
    """The places on the axis that are compared; needed with another `axis` than density, and with no other."""
    also: Annotated[tuple[BoundComponent, ...], Slot("report", many=True)] = Field((), examples=["tensorboard"])
    """Reports that write beside the leaderboard."""

    @model_validator(mode="after")
    def _places(self) -> Report:
        if (self.axis == "density") != (not self.at):
            raise ValueError(
                "`axis` and `at` belong together: density is compared where tickets lie, every other axis at stated "
                'places, such as axis = "density_macs", at = [0.5, 0.25]'
            )
        if not all(0 < place < 1 for place in self.at) or len(set(self.at)) < len(self.at):
            raise ValueError(f"`at` has distinct shares between 0 and 1, not {list(self.at)}")
        return self

    @field_validator("metric")
    @classmethod
    def _split_and_metric(cls, metric: str) -> str:
        split, slash, name = metric.partition("/")
        if split not in ("train", "valid", "test") or not slash or not name:
            raise ValueError('write SPLIT/METRIC, such as "test/loss" or "valid/early_stop_iteration"')
        return metric


class Execution(StrictTable):
    """How a run is carried out. Never part of a key."""

    workers: Annotated[Whole | None, InWords(default="one for each core; 1 on a GPU")] = Field(
        None, ge=0, le=bounds.PROCESSES, examples=[2]
    )
    """Processes in all; 0 runs in the calling process."""
    threads: Whole = Field(1, ge=1, le=bounds.PROCESSES)
    """Threads of each worker. Part of the environment fingerprint: sums may round differently."""
    device: str = Field("auto", examples=["cpu", "cuda"])
    """`"cpu"`, `"cuda"`, ...; `"auto"` takes a GPU if there is one."""
    devices: Annotated[tuple[str, ...] | Literal["all"] | None, InWords(type='list of strings, or `"all"`')] = Field(
        None, min_length=1, examples=["all", ["cuda:0", "cuda:1"]]
    )
    """Devices of this machine, each with workers of its own, in place of `device`; `"all"` are its GPUs."""
    slots: Annotated[Whole | None, InWords(default="1 on a GPU; on the processor one for each core")] = Field(
        None, ge=1, le=bounds.PROCESSES, examples=[2]
    )
    """Workers that share a device."""
    checkpoint_seconds: Number = Field(60.0, ge=0)
    """At most this much work is lost when a run is interrupted."""
    keep: Literal["none", "small", "judged"] = "small"
    """Which judged weights stay in the store, so that `prunebench export` trains nothing. `"judged"`: all of them; a
    run that lacks them is trained again. `"small"`: all where they take at most 1 GiB together, by the runs that are
    trained anyway. `prunebench plan` shows the sizes."""
    restarts: Whole = Field(2, ge=0, le=1_000)
    """How often a phase whose worker died starts again, from its checkpoint."""
    executor: Annotated[
        dict[str, Any] | str | None, InWords(type="table or name", default='`"local"`; `"inline"` if `workers = 0`')
    ] = Field(None, examples=["ray", {"use": "local", "memory_gib": 16}])
    """What carries the work out; its further keys are those of the executor."""
    track: Annotated[tuple[BoundComponent, ...], Slot("track", many=True)] = Field((), examples=["jsonl"])
    """Where events of a run go."""

    @model_validator(mode="after")
    def _one_of(self) -> Execution:
        if self.devices is not None and self.device != "auto":
            raise ValueError("`device` and `devices` say the same; leave one of them out")
        return self


class TopTable(ChainKeys):
    """The keys of the file itself. What entries are laid over is not yet complete here."""

    more_keys: ClassVar[Mapping[str, EarlyKey]] = {
        "extends": EarlyKey(
            "path", "", "Another file, below this one; seen from this file's folder.", 'extends = "quickstart.toml"'
        ),
        "profile": EarlyKey(
            "tables",
            "",
            "Variants of the file by name, `[profile.NAME]`: any keys of the file, laid over it by `--profile NAME`.",
            "[profile.smoke]\nseeds = [0]",
        ),
    }

    schema_: Literal[1] = Field(alias="schema")
    """The version of this format."""
    claim: str = Field("", examples=["Late rewinding beats rewinding to initialisation"])
    """What the file is to show; the leaderboard opens with it."""
    note: str = Field("", examples=["20 epochs in place of the paper's 182"])
    """What a reader must know before the first number, such as what was reduced."""
    seeds: Annotated[
        tuple[Annotated[Whole, Field(ge=-bounds.SEED, le=bounds.SEED)], ...], InWords(type="list of integers")
    ] = Field(min_length=1, max_length=bounds.SEEDS, examples=[[0, 1, 2]])
    """One trial for each; all distinct, since n counts them, and of at most 64 bits."""
    data: Annotated[tuple[dict[str, Any], ...], InWords(type="table, list of tables, or name")] = Field(
        min_length=1, max_length=bounds.CHOICES, examples=["mnist5k", {"use": "cifar10", "valid": 5000}]
    )
    """The data; several are written as `[[data]]`, and every entry then runs on each."""
    task: Annotated[dict[str, Any], InWords(type="component", default='`"classification"`')] = Field(
        default_factory=dict, examples=["classification"]
    )
    """What networks are trained for and measured by."""
    model: Annotated[tuple[dict[str, Any], ...], InWords(type="table, or list of tables")] = Field(
        min_length=1, max_length=bounds.CHOICES, examples=[{"name": "lenet_300_100"}]
    )
    """The network; several are written as `[[model]]`, and every entry then runs on each."""
    train: Annotated[dict[str, Any], InWords(type="recipe")] = Field(
        examples=[{"horizon": "10ep", "batch": 128, "optimizer": "adam"}]
    )
    """The recipe of all runs."""
    find: Annotated[dict[str, Any], InWords(type="recipe")] = Field(
        default_factory=dict, examples=[{"optimizer": {"lr": 0.2}}]
    )
    """Laid over `train` for the runs that find a ticket."""
    evaluate: Annotated[dict[str, Any], InWords(type="recipe")] = Field(
        default_factory=dict, examples=[{"optimizer": {"lr": 0.05}}]
    )
    """Laid over `train` for the runs that judge a ticket."""
    measure: Annotated[Measure, InWords(type="table", default="its keys' defaults")] = Measure()
    """When and on what runs are measured."""
    report: Annotated[Report, InWords(type="table", default="its keys' defaults")] = Report()
    """What the leaderboard ranks by."""
    execution: Annotated[Execution, InWords(type="table", default="its keys' defaults")] = Execution()
    """Processes, threads, device: nothing of it is part of a result's key."""
    entry: Annotated[tuple[dict[str, Any], ...], InWords(type="list of tables")] = Field(
        min_length=1, examples=[[{"name": "imp", "schedule": "rewind", "score": "magnitude", "select": "global"}]]
    )
    """The entries, as `[[entry]]`."""
    entries: Annotated[tuple[str, ...] | None, InWords(type="list of names", default="all")] = Field(
        None, examples=[["dense", "imp"]]
    )
    """The entries to score; the others only serve these."""
    expect: Annotated[tuple[Expect, ...], InWords(type="list of tables")] = ()
    """Published results that the file is held against, as `[[expect]]`."""

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = sorted(seed for seed, times in Counter(seeds).items() if times > 1)
        if twice:
            raise ValueError(f"seed {twice[0]} is given twice; n counts seeds, so each must be distinct")
        return seeds
