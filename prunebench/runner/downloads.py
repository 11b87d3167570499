"""The files that a data set's publisher offers."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.downloads import Download
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.runner.preparing import data_root


def downloads_of(name: str, catalogue: Catalogue | None = None, root: Path | None = None) -> list[Download]:
    """The publisher's files of a data set, with its default configuration.

    Raises:
        ConfigError: no such component, or one that is not a data set.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    use = catalogue.use(name, slot="data", where="data")
    found = run_manager([use]).hook.prunebench_downloads(root=data_root() if root is None else root)
    return list(found or ())
