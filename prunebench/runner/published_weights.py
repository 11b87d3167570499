"""Weights that were published with networks: fetched below the data root, with a note of where they came from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from prunebench.api.errors import PlanError, PrunebenchError
from prunebench.api.pretrained import Pretrained
from prunebench.benchmark.choices import ModelChoice, with_default
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import call_planning_hook
from prunebench.kernels import weight_files
from prunebench.runner.preparing import Options, data_root, read_file
from prunebench.runner.scratch_folder import scratch_folder


@dataclass(frozen=True)
class FetchedWeights:
    """A weight file that is in place.

    Args:
        origin: where it came from, revision included; empty where that is not known.
        digest: its sha256.
        fresh: whether it was fetched now.
    """

    file: Path
    origin: str
    digest: str
    fresh: bool


def published_weights(name: str, revision: str | None = None, catalogue: Catalogue | None = None) -> Pretrained:
    """What was published with a network that models are named by where a file says no component.

    Raises:
        PlanError: nothing was.
    """
    catalogue = Catalogue.load() if catalogue is None else catalogue
    use = catalogue.use(with_default({"name": name}, ModelChoice.default), slot="model", where="model")
    found: Pretrained | None = call_planning_hook(use, "prunebench_pretrained", asked=True, revision=revision)
    if found is None:
        raise PlanError(f'no weights were published with "{name}", as far as {use} knows')
    return found


def fetch_weights(published: Pretrained, root: Path | None = None) -> FetchedWeights:
    """Put the file in place unless it is there.

    Raises:
        PrunebenchError: it could not be downloaded or written; says what to put where by hand.
    """
    file = (data_root() if root is None else root) / published.file
    if file.is_file():
        digest = weight_files.digest_of(file)
        return FetchedWeights(file, weight_files.origin_of(file, digest), digest, fresh=False)
    try:
        with scratch_folder(file.parent) as scratch:
            origin = _fetched(published, scratch, file)
            whole = scratch / published.file
            digest = weight_files.digest_of(whole)
            # The note is of these bytes and says nothing of others: with it in place first, no file lacks its origin.
            os.replace(weight_files.note_origin(whole, digest, origin), weight_files.note_of(file))
            os.replace(whole, file)
    except OSError as error:
        raise PrunebenchError(f"{file}: it cannot be written ({error.strerror or error})") from error
    return FetchedWeights(file, origin, digest, fresh=True)


def _fetched(published: Pretrained, root: Path, file: Path) -> str:
    try:
        return published.fetch(root)
    except PrunebenchError as error:
        raise PrunebenchError(f"{error}. Get {published.where} by other means and put it at {file}") from error


def absent_weights(options: Options, catalogue: Catalogue | None = None) -> list[Pretrained]:
    """The published weights that a file's scored entries start from and that are not there."""
    catalogue = Catalogue.load() if catalogue is None else catalogue
    reading = read_file(options, catalogue)
    if reading.benchmark is None:
        return []
    found = {}
    for entry in reading.benchmark.entries:
        for model in entry.models:
            if model.weights is not None:
                continue
            try:
                published: Pretrained | None = call_planning_hook(
                    model.use, "prunebench_pretrained", asked=model.pretrained, revision=model.revision
                )
            except PrunebenchError:  # told when the file is planned
                continue
            if published is not None and not (data_root() / published.file).is_file():
                found[published.file] = published
    return list(found.values())
