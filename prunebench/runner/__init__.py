"""A benchmark file carried out: prepared, run, written, exported."""

from prunebench.runner.downloads import downloads_of
from prunebench.runner.estimate import DAY, Estimate, estimate, shorter_profiles
from prunebench.runner.fetching import AbsentData, absent_data
from prunebench.runner.out_folder import check_out, check_writable, judged_by, judged_in
from prunebench.runner.preparing import Options, Prepared, data_root, default_store, prepare
from prunebench.runner.provenance import notes
from prunebench.runner.publishing import report_again, write, write_results
from prunebench.runner.running import Outcome, make, run
from prunebench.runner.work_left import Status, status

__all__ = [
    "DAY",
    "AbsentData",
    "Estimate",
    "Options",
    "Outcome",
    "Prepared",
    "Status",
    "absent_data",
    "check_out",
    "check_writable",
    "data_root",
    "default_store",
    "downloads_of",
    "estimate",
    "judged_by",
    "judged_in",
    "make",
    "notes",
    "prepare",
    "report_again",
    "run",
    "shorter_profiles",
    "status",
    "write",
    "write_results",
]
