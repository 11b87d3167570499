"""A benchmark file carried out: prepared, run, written, exported."""

from prunebench.runner.downloads import downloads_of
from prunebench.runner.fetching import AbsentData, absent_data
from prunebench.runner.preparing import Options, Prepared, data_root, default_store, prepare
from prunebench.runner.provenance import notes
from prunebench.runner.publishing import report_again, write, write_results
from prunebench.runner.running import Outcome, make, run
from prunebench.runner.work_left import Status, status

__all__ = [
    "AbsentData",
    "Options",
    "Outcome",
    "Prepared",
    "Status",
    "absent_data",
    "data_root",
    "default_store",
    "downloads_of",
    "make",
    "notes",
    "prepare",
    "report_again",
    "run",
    "status",
    "write",
    "write_results",
]
