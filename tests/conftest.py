"""Every test computes with one thread and deterministic kernels, as a worker does."""

import pytest

from prunebench.engine.environment import pin

pytest_plugins = ["prunebench.testing"]


@pytest.fixture(autouse=True, scope="session")
def _pinned() -> None:
    pin("cpu", 1)
