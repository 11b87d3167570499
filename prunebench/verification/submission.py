"""Pack a leaderboard for a maintainer, who can then verify it: the benchmark file, results, versions and digests."""

from __future__ import annotations

import json
import os
import re
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance
from prunebench.benchmark import load as config
from prunebench.components.catalogue import Catalogue
from prunebench.results.manifest import MANIFEST, check_manifest, path_in, read_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.reading import content_of, reason
from prunebench.verification.source import benchmark_file

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: equal results give equal archives."""

_LONGEST_NAME = 80


def submit(folder: Path, to: Path, file: Path | None = None) -> Path:
    """Write `NAME-DIGEST.zip` with everything that `prunebench verify` needs.

    It holds the files that the manifest lists, which are regular files inside the folder, the benchmark file and the
    files that this one extends; nothing else.

    Args:
        to: the folder for the archive; nothing is written anywhere else.
        file: the benchmark file, if it is not where it was.
    Raises:
        PrunebenchError: the leaderboard is not as recorded, breaks a rule, or its file is gone or wrong.
    """
    differences = check_manifest(folder)
    if differences:
        raise PrunebenchError(
            f"{folder}: {'; '.join(differences)}. Only results as they were recorded can be submitted."
        )
    provenance = read_provenance(folder)
    broken = broken_rules(provenance)
    if broken:
        raise PrunebenchError(f"{folder}: " + " ".join(broken))
    manifest = read_manifest(folder)
    top = file_name(provenance.report.name)
    members = {f"{top}/{name}": content_of(path_in(folder, name)) for name in [*manifest.files, MANIFEST]}
    members |= sources_of(benchmark_file(folder, provenance, file))
    members["versions.json"] = (json.dumps(_versions(provenance), indent=2, sort_keys=True) + "\n").encode()
    return _written(to, f"{top}-{manifest.sha256[:12]}.zip", members)


def broken_rules(provenance: Provenance) -> list[str]:
    """What keeps a leaderboard from being submitted, a sentence each."""
    broken = []
    if len(provenance.seeds) < 3:
        broken.append(f"It has {len(provenance.seeds)} seeds; a submission needs at least 3.")
    if provenance.profile is not None:
        broken.append(f"It was made with profile {provenance.profile!r}; a submission is of the full file.")
    if provenance.settings:
        broken.append("It was made with --set; write the change into the file.")
    return broken


def file_name(name: str) -> str:
    """A name as one part of a path, whatever stands in it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:_LONGEST_NAME] or "leaderboard"


def sources_of(file: Path) -> dict[str, bytes]:
    """A benchmark file and the files that it extends, by their names in the archive.

    They lie in `benchmarks/` as they lie to one another, so that what they extend is found again.

    Raises: ConfigError if it is no benchmark file. PrunebenchError if one is a link or cannot be read.
    """
    config.load(file, Catalogue.load())  # whatever else `extends` may point at, it is not packed
    sources: dict[Path, bytes] = {}
    path = Path(os.path.abspath(file))
    while path not in sources:
        sources[path] = content_of(path)
        base = tomllib.loads(sources[path].decode()).get("extends")
        if isinstance(base, str):
            path = Path(os.path.normpath(path.parent / base))
    above = Path(os.path.commonpath([path.parent for path in sources]))
    return {f"benchmarks/{path.relative_to(above).as_posix()}": content for path, content in sources.items()}


def _versions(provenance: Provenance) -> dict[str, str]:
    """The installed versions of prunebench, of what it needs, and of what brought the components."""
    needed = [re.match(r"[\w.-]+", line) for line in requires("prunebench") or () if "extra ==" not in line]
    names = {match.group() for match in needed if match}
    names |= {"prunebench", *(origin.distribution.split(" ")[0] for origin in provenance.components.values())}
    return {name: found for name in names if (found := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None


def _written(to: Path, name: str, members: Mapping[str, bytes]) -> Path:
    """An archive, whole or not at all."""
    archive, aside = to / name, to / f".{name}.aside"
    try:
        to.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        with open(aside, "xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for member in _in_order(members):
                info = zipfile.ZipInfo(member, EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                packed.writestr(info, members[member])
        aside.replace(archive)  # of a link in its place the link itself is replaced
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise PrunebenchError(f"{archive}: cannot be written: {reason(error)}") from error
    return archive


def _in_order(names: Iterable[str]) -> list[str]:
    """The leaderboard, then the benchmark files, then the versions."""
    return sorted(names, key=lambda name: (name == "versions.json", name.startswith("benchmarks/"), name))
