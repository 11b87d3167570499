"""A site from folders of leaderboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance
from prunebench.benchmark import load as benchmark_files
from prunebench.components.catalogue import Catalogue
from prunebench.leaderboard import claims
from prunebench.leaderboard.build import board_of
from prunebench.leaderboard.site import SiteBoard, write_site
from prunebench.results.folder import read_results


def make_site(source: Path, to: Path, files: Path | None = None) -> Sequence[SiteBoard]:
    """Write a site over all leaderboards below a folder; what was written.

    Args:
        source: a folder of leaderboards' folders, or the folder of one; a list of claims in it, `claims.toml`, is shown
            with what the boards say of each.
        files: the folder that the boards' benchmark files are named from; they are read for what each entry names, and
            never run. By default the one that `source` lies in.
    Raises:
        PrunebenchError: there is no leaderboard, one or the list of claims is damaged, or the site cannot be written.
    """
    folders = (
        [source]
        if (source / "provenance.json").exists()
        else sorted(p.parent for p in source.glob("*/provenance.json"))
    )
    if not folders:
        raise PrunebenchError(f"{source}: no leaderboard in it: no folder with a provenance.json")
    catalogue, root = Catalogue.load(), files if files is not None else source.absolute().parent
    boards = []
    for folder in folders:
        results = read_results(folder)
        components = components_of(results.provenance, root, catalogue)
        boards.append(SiteBoard(folder.name, folder, results, board_of(results), components))
    listed = source / claims.FILE
    write_site(to, boards, claims.read_claims(listed) if listed.is_file() else None)
    return boards


def components_of(provenance: Provenance, root: Path, catalogue: Catalogue) -> Mapping[str, Sequence[str]]:
    """The components that each entry of a board names, by its benchmark file; empty if that cannot be read.

    The path is a stranger's word: only a file below `root` is read.
    """
    file = root / provenance.file
    if not file.resolve().is_relative_to(root.resolve()) or not file.is_file():
        return {}
    try:
        benchmark = benchmark_files.read(
            file, catalogue, profile=provenance.profile, seeds=provenance.seeds, settings=provenance.settings
        ).benchmark
    except PrunebenchError:
        return {}
    if benchmark is None:
        return {}
    return {entry.name: sorted({use.name for use in entry.uses()}) for entry in benchmark.all_entries.values()}
