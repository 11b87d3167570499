"""The fingerprint without an import of torch: the same fields, and only where nothing can have changed them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prunebench.engine import environment
from prunebench.engine.environment import fingerprint

ASK = """
import json, sys
from prunebench.engine.environment import fingerprint
fields = dict(fingerprint("auto", 1).fields)
print(json.dumps([fields, "torch" in sys.modules]))
"""


def asked(cache: Path, **more: str) -> tuple[dict[str, str | int], bool]:
    """The fingerprint of a process of its own, and whether it imported torch."""
    variables = {**os.environ, "PRUNEBENCH_CACHE": str(cache), "CUDA_VISIBLE_DEVICES": "", **more}
    done = subprocess.run([sys.executable, "-c", ASK], env=variables, capture_output=True, text=True, check=True)
    fields, imported = json.loads(done.stdout)
    return fields, imported


@pytest.mark.skipif(any(map(os.path.exists, environment.ACCELERATORS)), reason="a GPU is asked, never remembered")
def test_a_second_process_has_the_same_fields_without_torch_and_a_changed_switch_is_asked_anew(tmp_path: Path) -> None:
    first, imported = asked(tmp_path)
    assert imported
    assert first == dict(fingerprint("cpu", 1).fields)
    assert asked(tmp_path) == (first, False)
    plain, imported = asked(tmp_path, ATEN_CPU_CAPABILITY="default")
    assert imported
    assert plain["instructions"] != first["instructions"] or "DEFAULT" in str(first["instructions"])


def test_where_there_is_a_gpu_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ACCELERATORS", (os.devnull,))
    monkeypatch.delitem(sys.modules, "torch")

    def remembered(*args: object) -> None:
        raise AssertionError("asked the cache")

    monkeypatch.setattr(environment, "remembered", remembered)
    monkeypatch.setattr(environment, "_fields", lambda device, threads: {"torch": "asked"})
    assert dict(fingerprint("auto", 1).fields) == {"torch": "asked"}


def test_its_fields_can_be_sent_to_a_process_without_torch() -> None:
    # Torch's version is a text of torch's own class, and whoever unpickles one imports torch.
    assert {type(value) for value in fingerprint("cpu", 1).fields.values()} <= {str, int}
