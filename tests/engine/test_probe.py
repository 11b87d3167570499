from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import parts
from engine.toy_runs import catalogue, open_store, prepared, run
from prunebench.api.data import Data
from prunebench.api.errors import ContractError, DataMissing, PrunebenchError
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.engine import probe as probes
from prunebench.engine.probe import StoreProbe
from prunebench.testing.toy import ToyData

UNITS = {"use": "toy-units"}

CLASSES = catalogue().use("classification", slot="task")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "scale.txt").write_text("1.0")
    # What was just written is not trusted yet; that is tried below.
    monkeypatch.setattr(probes, "SETTLED", -3600.0)
    return folder


def chosen(name: str, slot: str, **config: object) -> Any:
    choice = {"data": DataChoice, "model": ModelChoice}[slot]
    return choice(label=name, use=catalogue().use({"use": name, **config}, slot=slot))


def reads(root: Path) -> int:
    return len((root / "reads.log").read_text().splitlines())


def test_data_is_read_once_while_its_files_stand(store_path: Path, root: Path) -> None:
    first = StoreProbe(open_store(store_path), root).data(chosen("from-file", "data"))
    again = StoreProbe(open_store(store_path), root).data(chosen("from-file", "data"))
    assert first == again
    assert first.sizes == {"train": 96, "valid": 24, "test": 24}
    assert reads(root) == 1


@pytest.mark.parametrize("change", ["content", "time"])
def test_data_is_read_again_when_a_file_has_changed(store_path: Path, root: Path, change: str) -> None:
    probe = StoreProbe(open_store(store_path), root)
    first = probe.data(chosen("from-file", "data"))
    if change == "content":
        (root / "scale.txt").write_text("0.9")
    stamp = (root / "scale.txt").stat().st_mtime_ns + 1_000_000_000
    os.utime(root / "scale.txt", ns=(stamp, stamp))
    again = probe.data(chosen("from-file", "data"))
    assert reads(root) == 2
    assert (first.digest == again.digest) == (change == "time")
    probe.data(chosen("from-file", "data"))
    assert reads(root) == 2


def test_a_change_that_leaves_size_and_time_is_seen(store_path: Path, root: Path) -> None:
    file, probe = root / "scale.txt", StoreProbe(open_store(store_path), root)
    before = file.stat()
    first = probe.data(chosen("from-file", "data"))
    file.write_text("0.9")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert probe.data(chosen("from-file", "data")).digest != first.digest


def test_a_change_within_one_tick_of_the_clock_is_seen(
    store_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that knows whole seconds: the same size and the same times, that of the last change too."""
    probe, stamps = StoreProbe(open_store(store_path), root), probes._stamps

    def coarse(files: tuple[str, ...]) -> dict[str, list[int]]:
        return {name: [size, 0, int(root.stat().st_ctime) * 10**9] for name, (size, *_) in stamps(files).items()}

    monkeypatch.setattr(probes, "SETTLED", 2.0)
    monkeypatch.setattr(probes, "_stamps", coarse)
    first = probe.data(chosen("from-file", "data"))
    (root / "scale.txt").write_text("0.9")
    assert probe.data(chosen("from-file", "data")).digest != first.digest


def test_a_file_that_changes_while_it_is_read_is_read_again(
    store_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ToyData):
        def prunebench_data(self) -> Data:
            (root / "scale.txt").write_text("0.9")  # somebody else, after its content was taken
            return super().prunebench_data()

    probe = StoreProbe(open_store(store_path), root)
    monkeypatch.setattr(probes, "SETTLED", 0.05)
    time.sleep(0.1)
    monkeypatch.setattr(parts, "ToyData", Slow)
    first = probe.data(chosen("from-file", "data"))
    monkeypatch.setattr(parts, "ToyData", ToyData)
    assert probe.data(chosen("from-file", "data")).digest != first.digest


def test_a_digest_that_turns_out_wrong_is_not_planned_with_again(
    store_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that no metadata show, as through another mount or with the clock set back."""
    changes, stamps = {"data": "from-file"}, {str(root / "scale.txt"): [3, 1, 1]}
    monkeypatch.setattr(probes, "_stamps", lambda files: stamps)
    first = run(store_path, changes, root=root)
    (root / "scale.txt").write_text("0.9")
    spoiled = run(store_path, {**changes, "seeds": [5]}, root=root)
    assert all("the files changed since the run was planned" in error for error in spoiled.failed.values())
    assert spoiled.failed
    again = run(store_path, {**changes, "seeds": [5]}, root=root)
    assert not again.failed
    assert {row.key for row in first.rows}.isdisjoint(row.key for row in again.rows)


def test_data_whose_file_is_gone_is_missing(store_path: Path, root: Path) -> None:
    probe = StoreProbe(open_store(store_path), root)
    probe.data(chosen("from-file", "data"))
    (root / "scale.txt").unlink()
    with pytest.raises(DataMissing):
        probe.data(chosen("from-file", "data"))


def test_each_root_is_probed_for_itself(store_path: Path, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "scale.txt").write_text("0.5")
    digests = {
        StoreProbe(open_store(store_path), place).data(chosen("from-file", "data")).digest for place in (root, other)
    }
    assert len(digests) == 2


def test_data_without_files_is_read_each_time_and_is_the_same(store_path: Path, root: Path) -> None:
    probe = StoreProbe(open_store(store_path), root)
    assert probe.data(chosen("toy-data", "data")) == probe.data(chosen("toy-data", "data"))


def test_a_model_is_probed_once_and_on_the_meta_device(
    store_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, use = StoreProbe(open_store(store_path), root), catalogue().use(UNITS, slot="units")
    data = probe.data(chosen("toy-data", "data"))
    before = torch.get_rng_state()
    first = probe.model(chosen("toy-net", "model"), data, use, CLASSES)
    assert torch.equal(torch.get_rng_state(), before)
    assert (first.parameters, first.units) == (75, 66)
    assert [(layer.name, layer.start, layer.count) for layer in first.layers] == [
        ("1.weight", 0, 48),
        ("3.weight", 48, 18),
    ]
    monkeypatch.setattr(StoreProbe, "_probed", lambda *arguments: pytest.fail("it was cached"))
    assert StoreProbe(open_store(store_path), root).model(chosen("toy-net", "model"), data, use, CLASSES) == first


def test_other_units_are_another_probe(store_path: Path, root: Path) -> None:
    probe = StoreProbe(open_store(store_path), root)
    data = probe.data(chosen("toy-data", "data"))
    units = [catalogue().use(table, slot="units") for table in (UNITS, {"use": "weights"})]
    found = [probe.model(chosen("toy-net", "model"), data, use, CLASSES).units for use in units]
    assert found == [66, 48]


def test_a_changed_file_gives_other_keys_and_trains_anew(store_path: Path, root: Path) -> None:
    changes = {"data": "from-file"}
    first = run(store_path, changes, root=root)
    assert run(store_path, changes, root=root).execution.done == 0
    (root / "scale.txt").write_text("0.75")
    again = run(store_path, changes, root=root)
    assert again.failed == {}
    assert {row.key for row in first.rows}.isdisjoint(row.key for row in again.rows)


def test_data_that_changes_between_plan_and_run_fails_the_trial(store_path: Path, root: Path) -> None:
    from prunebench import runner

    ready = prepared(store_path, {"data": "from-file"}, root=root)
    (root / "scale.txt").write_text("0.75")
    outcome = runner.run(ready, catalogue=catalogue())
    assert len(outcome.failed) == 2
    assert all("the files changed since the run was planned" in error for error in outcome.failed.values())
    assert {row.outcome for row in outcome.rows} == {"failed"}


def test_another_version_than_planned_is_a_contract_error() -> None:
    described = {"use": "toy-net", "version": 2, "config": {}}
    with pytest.raises(ContractError, match="has version 1; the phase was planned with 2"):
        catalogue().from_json(described)
    with pytest.raises(PrunebenchError):
        catalogue().from_json({**described, "use": "toy-nut"})


def test_an_answer_that_was_found_elsewhere_is_not_found_out_here(store_path: Path, root: Path) -> None:
    asked: list[str] = []

    def elsewhere() -> None:
        asked.append("elsewhere")
        StoreProbe(open_store(store_path), root).data(chosen("from-file", "data"))

    probe = StoreProbe(open_store(store_path), root, lambda: asked.append("here"), elsewhere)
    for _ in range(2):
        assert probe.data(chosen("from-file", "data")).sizes["train"] == 96
    assert (asked, reads(root)) == (["elsewhere"], 1)


def test_data_whose_publishers_files_are_missing_is_not_looked_for_elsewhere(store_path: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    probe = StoreProbe(
        open_store(store_path), tmp_path, lambda: asked.append("here"), lambda: asked.append("elsewhere")
    )
    with pytest.raises(DataMissing):
        probe.data(chosen("mnist", "data"))
    assert asked == ["here"]
