"""A real browser for the tests of pages and sites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .page.browser import NAMES, Browser, chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    binary = chromium()
    if binary is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} on the PATH")
    opened = Browser(binary, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
