"""Every test computes with one thread and deterministic kernels, as a worker does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from prunebench.engine.environment import pin

pytest_plugins = ["prunebench.testing"]

# A law is tried on fewer cases each time, and on others: its cases are drawn anew. `tox -e slow` tries many.
settings.register_profile("short", max_examples=40)
settings.register_profile("long", max_examples=1_000)
settings.load_profile("long" if os.environ.get("PRUNEBENCH_SLOW") == "1" else "short")


@pytest.fixture(autouse=True, scope="session")
def _pinned() -> None:
    pin("cpu", 1)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """The URL of a place in a new bucket of an object store on the loopback."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto.moto_server")
    from store.loopback import serving

    (tmp_path / "home").mkdir()
    with serving(tmp_path / "home") as server:
        yield server.bucket()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked slow, unless it is asked for."""
    if os.environ.get("PRUNEBENCH_SLOW") == "1":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: PRUNEBENCH_SLOW=1 runs it, as tox -e slow does"))
