"""Whether every environment that numbers are said to be of is described, and under its own id.

That a number was made there is its author's word: a second run says which numbers it could hold bit for bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from prunebench.api.provenance import Provenance, Scalar
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.results.provenance import PROVENANCE
from prunebench.results.rows import RESULTS
from prunebench.store.environment import Environment
from prunebench.verification.audit.wording import listed, row_text, value_text

_MACHINE = ("cores", "cpu", "device")
"""What is noted of every machine."""


def other_environments(results: Results, fingerprint: Mapping[str, object]) -> Iterator[str]:
    """What is not described, or not as it would be, a sentence each.

    Args:
        fingerprint: that of this process, for the names of its fields.
    """
    provenance = results.provenance
    yield from _described(PROVENANCE, provenance.environment, provenance.environments, provenance.hardware, fingerprint)
    for number, origin in enumerate(provenance.merged, 1):
        where = f"{PROVENANCE}: merged, origin {number}"
        yield from _described(where, origin.environment, origin.environments, origin.hardware, fingerprint)
    known = environments_of(provenance)
    own = {id_of(fields) for fields in (provenance.environment, *(one.environment for one in provenance.merged))}
    strange = [row_text(row) for row in results.rows if not known.keys() >= set(row.environments)]
    yield from listed(f"{RESULTS}: rows of environments that {PROVENANCE} does not describe", strange)
    # A row is of one environment, and names it where that is not the run's own.
    said = [
        row_text(row)
        for row in results.rows
        if len(row.environments) > 1 or (not provenance.merged and not own.isdisjoint(row.environments))
    ]
    yield from listed(f"{RESULTS}: rows that name the run's own environment, or several", said)


def environments_of(provenance: Provenance) -> Mapping[str, Mapping[str, Scalar]]:
    """The environments that rows may name, by id."""
    found = dict(provenance.environments)
    for origin in provenance.merged:
        found |= origin.environments
    return found


def made_in(provenance: Provenance) -> Callable[[Row], Sequence[Mapping[str, Scalar]]]:
    """The environments that a row is said to be of: those that it names, or that of a run with its entry and seed.

    Of results that were laid together nothing says which of two runs with the same entry and seed a row is of: it is
    then of the environments of both.
    """
    known = environments_of(provenance)
    runs: dict[tuple[str, int], list[Mapping[str, Scalar]]] = defaultdict(list)
    for origin in provenance.merged:
        for entry in origin.entries:
            for seed in origin.seeds:
                if origin.environment not in runs[entry, seed]:
                    runs[entry, seed].append(origin.environment)

    def found(row: Row) -> Sequence[Mapping[str, Scalar]]:
        if row.environments:
            return [known[name] for name in row.environments]
        return runs.get((row.entry, row.seed)) or [provenance.environment]

    return found


def id_of(fields: Mapping[str, object]) -> str:
    """The id of an environment."""
    return Environment({n: value if isinstance(value, str | int) else str(value) for n, value in fields.items()}).id


def _described(
    where: str,
    environment: Mapping[str, Scalar],
    environments: Mapping[str, Mapping[str, Scalar]],
    hardware: Mapping[str, Scalar],
    fingerprint: Mapping[str, object],
) -> Iterator[str]:
    named = {"environment": environment, **{f"environment {name}": fields for name, fields in environments.items()}}
    for name, fields in named.items():
        lacking = (field for field in fingerprint if fields.get(field) in (None, ""))
        yield from listed(f"{where}: fields that {name} lacks", lacking)
    other = (name for name, fields in environments.items() if id_of(fields) != name)
    yield from listed(f"{where}: environments under an id that is not of their fields", other)
    if environments and id_of(environment) not in environments:
        yield f"{where}: environments do not have the run's own environment"
    lacking = (name for name in _MACHINE if hardware.get(name) in (None, ""))
    yield from listed(f"{where}: fields that hardware lacks", lacking)
    device = str(environment.get("device"))
    if hardware.get("device") not in (None, "", device):
        yield f"{where}: hardware.device is not that of the environment, {value_text(device)}"
