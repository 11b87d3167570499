"""Which data sets are there: what their loaders really read, with the default configuration."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from prunebench.api.data import Data
from prunebench.api.errors import ConfigError, DataMissing, DataUnusable
from prunebench.api.random import Rng
from prunebench.api.untrusted_text import describe, printable
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager, slots_of
from prunebench.runner.downloads import downloads_of

READY, SHIPPED, MISSING, UNUSABLE = "ready", "comes with the package", "missing", "damaged or incomplete"


@dataclass(frozen=True)
class DataSet:
    """A data set that a component offers.

    Args:
        state: READY, SHIPPED (nothing of it lies below the data root), MISSING (and how to fetch it), UNUSABLE, or that
            it cannot be read without a configuration, or at all.
        text: what it is, or what is amiss.
    """

    name: str
    state: str
    text: str


def names_of(catalogue: Catalogue) -> list[str]:
    """The data sets that components offer."""
    return [name for name, provider in catalogue.providers.items() if "data" in slots_of(provider.component)]


def data_set(name: str, catalogue: Catalogue, root: Path) -> DataSet:
    """The state of one: its files are read and their digests taken, but no image is decoded."""
    about = (inspect.getdoc(inspect.getmodule(catalogue.providers[name].component.build)) or "").split("\n")[0]
    try:
        use = catalogue.use(name, slot="data", where="data")
    except ConfigError as error:
        return DataSet(name, "needs a configuration", printable(str(error)))
    try:
        data: Data = run_manager([use]).hook.prunebench_data(root=root, rng=Rng("probe"))
        files = [Path(file) for file in data.info.files]
        state = READY if any(file.is_relative_to(root) for file in files) else SHIPPED
        return DataSet(name, state, f"{about} ({printable(data.info.note)})" if data.info.note else about)
    except DataUnusable as error:
        return DataSet(name, UNUSABLE, printable(str(error)))
    except DataMissing as error:
        if _can_be_fetched(name, catalogue, root):
            return DataSet(name, f"{MISSING}; `prunebench data fetch {name}`", about)
        return DataSet(name, MISSING, printable(str(error)))
    except Exception as error:  # of a foreign component: the others are listed all the same
        return DataSet(name, "cannot be read", describe(error))


def _can_be_fetched(name: str, catalogue: Catalogue, root: Path) -> bool:
    try:
        return bool(downloads_of(name, catalogue, root))
    except Exception:  # it says that there is nothing to fetch, or is foreign and fails
        return False
