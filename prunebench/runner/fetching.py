"""The data of a benchmark file that is not there, and that its publishers offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prunebench.api.downloads import Download
from prunebench.api.errors import DataMissing, DataUnusable, PrunebenchError
from prunebench.benchmark.choices import DataChoice
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.engine.probe import StoreProbe
from prunebench.runner.preparing import Options, data_root, default_store, read_file
from prunebench.store.environment import Environment
from prunebench.store.store import Store


@dataclass(frozen=True)
class AbsentData:
    """A data set of a file that can be fetched.

    Args:
        label: what the file calls it.
        why: what its loader says.
        downloads: the publisher's files.
    """

    label: str
    why: str
    downloads: tuple[Download, ...]


def absent_data(options: Options, catalogue: Catalogue | None = None) -> list[AbsentData]:
    """The data sets that a file's scored entries need, that are not there, and that a publisher offers.

    Damaged ones are not among them: what is there is never written over. Nor are those of entries that have errors,
    which `prepare` tells.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    reading = read_file(options, catalogue)
    if reading.benchmark is None:
        return []
    root = data_root()
    probe = StoreProbe(Store(options.store or default_store(), environment=Environment({"for": "planning"})), root)
    named = {choice.label: choice for entry in reading.benchmark.entries for choice in entry.data}
    found = [_absent(choice, probe, root) for choice in named.values()]
    return [absent for absent in found if absent is not None]


def _absent(choice: DataChoice, probe: StoreProbe, root: Path) -> AbsentData | None:
    try:
        probe.data(choice)
    except DataUnusable:
        return None
    except DataMissing as error:
        try:
            offered = run_manager([choice.use]).hook.prunebench_downloads(root=root)
        except PrunebenchError:  # it says that there is nothing to fetch, and what to put where
            return None
        return AbsentData(choice.label, str(error), tuple(offered)) if offered else None
    except PrunebenchError:
        return None
    return None
