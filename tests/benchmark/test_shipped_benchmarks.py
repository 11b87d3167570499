"""Every shipped file reads, plans and has a smoke profile, and benchmarks/README.md tells what it plans."""

import re
import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.errors import ConfigError, DataMissing
from prunebench.api.info import DataInfo
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark import load as config
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.merging import read_file
from prunebench.components.catalogue import Catalogue
from prunebench.engine.missing import missing, samples
from prunebench.engine.probe import StoreProbe
from prunebench.leaderboard.claims import Work, read_claims
from prunebench.plan.compile import make_plan
from prunebench.plan.published import FirstWeights
from prunebench.plan.specs import WeightFile
from prunebench.plan.trial import Plan, Trial
from prunebench.runner.preparing import Options, data_root, prepare
from prunebench.store.environment import Environment
from prunebench.store.store import Store

FOLDER = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(FOLDER.glob("*.toml"))

PUBLISHED = {
    "mnist": (60_000, 10_000, (1, 28, 28), 10),
    "fashion-mnist": (60_000, 10_000, (1, 28, 28), 10),
    "cifar10": (50_000, 10_000, (3, 32, 32), 10),
    "cifar100": (50_000, 10_000, (3, 32, 32), 100),
    "tinyimagenet": (100_000, 10_000, (3, 64, 64), 200),
    "miniplaces": (100_000, 10_000, (3, 128, 128), 100),
    "image-folder": (1_281_167, 50_000, (3, 224, 224), 1_000),  # the shipped files read ImageNet with it
}
"""Training images, test images, shape and classes: what planning must know, so that no test needs the images."""


class PublishedSizes(StoreProbe):
    """Plans as if the published data were there; other data must be."""

    def data(self, chosen: DataChoice) -> DataInfo:
        name = chosen.use.name
        if name not in PUBLISHED:
            try:
                return super().data(chosen)
            except DataMissing as error:
                pytest.skip(str(error))
        train, test, shape, classes = PUBLISHED[name]
        stated: Any = chosen.use.config
        rest = train - stated.valid
        side = getattr(stated, "size", shape[1])
        sizes = {"train": rest if stated.train is None else stated.train, "valid": stated.valid, "test": test}
        return DataInfo(name, "published", sizes, (shape[0], side, side), classes, "", ())

    def weights(self, chosen: ModelChoice, data: DataInfo, published: Pretrained | None = None) -> FirstWeights:
        """A weight file that is not there counts as the published one."""
        try:
            return super().weights(chosen, data, published)
        except DataMissing:
            return FirstWeights(WeightFile(chosen.weights or "", "0" * 64))


def profiles(file: Path) -> list[str | None]:
    return [None, *read_file(file).get("profile", {})]


LARGE = (
    "slimming-",
    "timm-tour",
    "structured-",
    "oneshot-",
    "convnext-",
    "across",
    "tinyimagenet",
    "resnet18-",
    "plane-",
)
"""Files of networks that take seconds each to be traced and tried."""


def case(file: Path, profile: str | None) -> Any:
    slow = profile != "smoke" and file.stem.startswith(LARGE)
    name = file.stem if profile is None else f"{file.stem}-{profile}"
    return pytest.param(file, profile, id=name, marks=[pytest.mark.slow] if slow else [])


CASES = [case(f, p) for f in FILES for p in profiles(f)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all files: what planning finds out of a network it finds out once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def probe(store: Path) -> StoreProbe:
    return PublishedSizes(Store(store, environment=Environment({})), data_root())


@cache
def catalogue() -> Catalogue:
    return Catalogue.load()


@cache
def planned(file: Path, profile: str | None, probe: StoreProbe) -> tuple[Plan, int]:
    """The plan of the first seed alone, and how many seeds there are: seeds share no run, and planning takes time."""
    seeds = config.load(file, catalogue(), profile=profile).seeds
    return make_plan(config.load(file, catalogue(), profile=profile, seeds=seeds[:1]), probe), len(seeds)


@pytest.mark.parametrize(("file", "profile"), CASES)
def test_it_plans(file: Path, profile: str | None, probe: StoreProbe) -> None:
    plan, _ = planned(file, profile, probe)
    assert plan.runs


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_has_a_smoke_profile_that_says_what_it_reduces(file: Path) -> None:
    smoke = read_file(file)["profile"]["smoke"]
    assert file.stem == "quickstart" or smoke["note"]
    assert smoke["seeds"] == [0]


@pytest.mark.parametrize(("file", "profile"), [case(f, None) for f in FILES])
def test_the_readme_tells_its_distinct_and_naive_runs(file: Path, profile: None, probe: StoreProbe) -> None:
    rows = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith(f"| `{file.name}`")]
    assert len(rows) == 1, f"benchmarks/README.md has no row, or several, of {file.name}"
    plan, seeds = planned(file, None, probe)
    numbers = f"{len(plan.runs) * seeds:,} of {plan.naive_runs * seeds:,}"
    assert f"| {numbers} |" in rows[0], f"{file.name} plans {numbers} training runs"


def test_the_readme_names_no_file_that_is_not_there() -> None:
    named = re.findall(r"^\| `([^`]+\.toml)`", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == [file.name for file in FILES]


def test_seeds_share_no_run(probe: StoreProbe) -> None:
    benchmark = config.load(FOLDER / "lottery-mnist.toml", catalogue())
    one, seeds = planned(FOLDER / "lottery-mnist.toml", None, probe)
    every = make_plan(benchmark, probe)
    assert (len(every.runs), every.naive_runs) == (len(one.runs) * seeds, one.naive_runs * seeds)


def test_the_three_grids_of_find_and_evaluate_train_3785_of_8100_runs(probe: StoreProbe) -> None:
    plan, seeds = planned(FOLDER / "decoupled-tinyimagenet.toml", "grid", probe)
    assert (len(plan.runs) * seeds, plan.naive_runs * seeds) == (3_785, 8_100)


def test_early_pruning_ends_every_find_run_early_and_truncates_the_dense_network_likewise(probe: StoreProbe) -> None:
    benchmark = config.load(
        FOLDER / "decoupled-tinyimagenet.toml", catalogue(), seeds=(0,), only=("early-0.2-50ep", "dense-early-0.2-50ep")
    )
    plan = make_plan(benchmark, probe)
    epoch = 100_000 // 512
    early, dense = plan.trials
    assert (early.entry, dense.entry) == ("early-0.2-50ep", "dense-early-0.2-50ep")
    masks = [plan.phases[e.mask.key].spec for e in early.evaluations if e.mask is not None]
    assert {mask.weights.at for mask in masks} == {50 * epoch}
    assert {e.run.stop for e in early.evaluations} == {110 * epoch}
    assert {e.run.stop for e in dense.evaluations} == {50 * epoch}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_smoke_profile_checks_where_the_data_is(file: Path, store: Path) -> None:
    try:
        prepared = prepare(Options(file, profile="smoke", store=store))
    except (ConfigError, DataMissing) as error:
        if "no " in str(error) and ("data fetch" in str(error) or "model.weights: no file" in str(error)):
            pytest.skip(str(error))
        raise
    assert prepared.plan.runs


def test_the_file_under_sgd_leaves_the_one_under_adam_as_it_is() -> None:
    sgd, adam = (
        tomllib.loads((FOLDER / name).read_text()) for name in ("lottery-mnist-sgd.toml", "lottery-mnist.toml")
    )
    assert (sgd["extends"], adam["train"]["optimizer"]["use"]) == ("lottery-mnist.toml", "adam")


# The published claims' list says what the planner says.

CLAIMS = read_claims(FOLDER.parent / "leaderboards" / "claims.toml")


def of_claims(file: str) -> list[Work]:
    return [work for claim in CLAIMS.claim for work in claim.work if work.file == file]


@pytest.mark.parametrize(("file", "profile"), [case(f, None) for f in FILES if of_claims(f.name)])
def test_the_list_of_claims_has_the_runs_and_the_images_that_are_planned(
    file: Path, profile: None, probe: StoreProbe
) -> None:
    plan, seeds = planned(file, None, probe)
    lacking = missing(plan, probe.store)
    for work in of_claims(file.name):
        keys = trained(plan, [t for t in plan.trials if any(fnmatchcase(t.entry, name) for name in work.entries)])
        images = sum(samples(plan.phases[key], lacking[key]) for key in keys)
        assert (work.runs, work.images) == (len(keys) * seeds, images * seeds), work.entries


def trained(plan: Plan, trials: Sequence[Trial]) -> set[str]:
    """The training runs that these trials rest on."""
    stack = [ref.key for t in trials for _, ref in t.analyses]
    stack += [key for t in trials for key in (*t.finds, *(e.run.key for e in t.evaluations))]
    seen: set[str] = set()
    while stack:
        key = stack.pop()
        if key not in seen:
            seen.add(key)
            stack += [ref.key for ref in plan.phases[key].parents]
    return {key for key in seen if plan.phases[key].kind == "train"}
