"""Pack a leaderboard for a maintainer, who can then verify it: the benchmark file, results, versions and digests."""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance
from prunebench.results.manifest import MANIFEST, check_manifest
from prunebench.results.provenance import read_provenance

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive: equal results give equal archives."""


def submit(folder: Path, to: Path, file: Path | None = None) -> Path:
    """Write `NAME-DIGEST.zip` with everything that `prunebench verify` needs.

    Args:
        to: the folder for the archive.
        file: the benchmark file, if it is not where it was.
    Raises:
        PrunebenchError: the leaderboard is not as recorded, breaks a rule, or its file is gone.
    """
    wrong = check_manifest(folder)
    if wrong:
        raise PrunebenchError(f"{folder}: {'; '.join(wrong)}. Only results as they were recorded can be submitted.")
    provenance = read_provenance(folder)
    broken = broken_rules(provenance)
    if broken:
        raise PrunebenchError(f"{folder}: " + " ".join(broken))
    sources = _sources(file or Path(provenance.file))
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    name = provenance.report.name
    archive = to / f"{name}-{manifest['sha256'][:12]}.zip"
    to.mkdir(parents=True, exist_ok=True)
    versions = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for listed in sorted([*manifest["files"], MANIFEST]):
            _add(packed, f"{name}/{listed}", (folder / listed).read_bytes())
        for source in sources:
            _add(packed, f"benchmarks/{source.name}", source.read_bytes())
        _add(packed, "versions.json", (json.dumps(versions, indent=2, sort_keys=True) + "\n").encode())
    return archive


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


def _sources(file: Path) -> list[Path]:
    """A benchmark file and the files that it extends."""
    import tomllib

    if not file.is_file():
        raise PrunebenchError(f"{file}: the benchmark file is not here; give --file")
    base = tomllib.loads(file.read_text(encoding="utf-8")).get("extends")
    return [file, *(_sources(file.parent / base) if isinstance(base, str) else [])]


def _add(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    packed.writestr(info, content)
