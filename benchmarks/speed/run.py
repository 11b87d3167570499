"""Measures everything that has a target and prints one table; `--write` keeps it in README.md beside this file.

All in one process with one thread, as a worker of prunebench runs.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
from pathlib import Path

import torch
from interleave import Row

from prunebench.kernels.hardware import hardware

SCRIPTS = (
    "training_loop",
    "masked_step",
    "numerics",
    "evaluation",
    "whole_run",
    "streaming",
    "repulsion",
    "utility",
    "selection",
    "planning",
    "scheduler",
    "stored_plan",
    "cached_phase",
    "large_board",
    "startup",
    "cluster",
)
README = Path(__file__).with_name("README.md")


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", help=f"of {', '.join(SCRIPTS)}; all if none is named")
    parser.add_argument("--write", action="store_true", help="write README.md (only with all scripts)")
    given = parser.parse_args()
    unknown = set(given.scripts) - set(SCRIPTS)
    if unknown or (given.scripts and given.write):
        parser.error(f"no script {sorted(unknown)[0]!r}" if unknown else "--write needs all scripts")
    torch.set_num_threads(1)
    modules = [importlib.import_module(name) for name in given.scripts or SCRIPTS]
    rows: list[Row] = []
    for module in modules:
        print(f"{module.__name__} ...", flush=True)
        rows += module.measure()
    print(f"\n{table(rows)}\n\n{machine()}")
    if given.write:
        about = {module.__name__: (module.__doc__ or "").strip() for module in modules}
        README.write_text(page(rows, about, datetime.datetime.now(datetime.UTC).date()))


def table(rows: list[Row]) -> str:
    """What was measured against its target, in markdown."""
    lines = ["| what | measured | target | met? |", "|---|---:|---:|---|"]
    for one in rows:
        unit = one.get("unit", "")
        met = "yes" if one["ratio"] <= one["target"] else "**no**"
        most = f"at most {quantity(one['target'], unit)}"
        if one["target"] == float("inf"):
            met, most = "", "none"
        lines.append(f"| {one['name']} | {quantity(one['ratio'], unit)} | {most} | {met} |")
    return "\n".join(lines)


def quantity(value: float, unit: str) -> str:
    """A ratio as "1.02x", anything else with its unit."""
    decimals = {"MiB": 0, "ms a phase": 3}.get(unit, 2)
    shown = f"{value:.{decimals}f}"
    if not unit:
        return f"{shown}x"
    return f"{shown}{'' if unit.startswith('%') else ' '}{unit}"


def machine() -> str:
    """Processor, cores, memory, torch and threads in one line."""
    found = hardware()
    memory = f", {found['memory_gib']} GiB" if "memory_gib" in found else ""
    return (
        f"{found['cpu']} ({torch.backends.cpu.get_cpu_capability()}), {found['cores']} cores{memory}; "
        f"torch {torch.__version__}, {torch.get_num_threads()} thread"
    )


def page(rows: list[Row], about: dict[str, str], date: datetime.date) -> str:
    """README.md: the table, what each script compares, what is fair about it, and how to run it."""
    notes = "\n".join(f"- {one['name']}: {one['note']}." for one in rows)
    told = "\n\n".join(f"**`{name}.py`** {text}" for name, text in about.items())
    return f"""# How fast prunebench is

{table(rows)}

{date.isoformat()}, on {machine()}.

Run it with `tox -e speed` (ten minutes or so); `tox -e speed -- --write` replaces this page, `tox -e speed -- planning`
measures one script. Seconds belong to this machine; ratios carry over better, and they are what is promised.

## What is compared

{told}

## What is fair about it

- Both sides of a ratio run in one process, turn by turn, and who begins alternates. A ratio is taken within each pair
  of neighbours and the median of the pairs is quoted: a slow spell of a shared machine hits both sides.
- Ratios are of processor time, so what others run meanwhile is not counted as ours or theirs. Nothing that is compared
  waits. Seconds and milliseconds are by the wall clock, except those of planning, of looking
  outputs up and of 50,400 rows. `--help` is timed as the function
  that the console script calls.
- The bare loop trains the same network with the same fused optimizer on the same resident images, and before anything
  is timed both loops train in the same order of images and must agree in every bit of every weight and statistic. It
  draws its orders with `torch.randperm`; prunebench draws them from counter-based streams, and that is counted against
  it, as are its seeds for dropout, its look for losses that are not finite, and the deterministic kernels that it asks
  for.
- Loops pause as often as they do between two points of a curve: every {_steps()} steps.
- The networks are small. That is the hard case: what a loop costs beside the arithmetic shows only where there is
  little arithmetic.
- A cached phase is one of a plan's phases when a run finds every result: only results are looked up, not what they
  were made from, and that is why it is cheap.

## How sure the numbers are

{notes}
"""


def _steps() -> str:
    from workloads import workloads

    return " or ".join(f"{workload.steps} ({workload.name})" for workload in workloads())


if __name__ == "__main__":
    main()
