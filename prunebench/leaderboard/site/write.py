"""The files of a site."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.leaderboard.claims import ClaimList, states_of
from prunebench.leaderboard.page import write_page
from prunebench.leaderboard.records import csv_text, write_parquet
from prunebench.leaderboard.site.claims import claims_page
from prunebench.leaderboard.site.html import ASSETS, SCRIPT, STYLE
from prunebench.leaderboard.site.methods import method_pages
from prunebench.leaderboard.site.overview import ALL, overview_page
from prunebench.leaderboard.site.source import SiteBoard

MARK = ".prunebench-site"
"""The file that says that a folder is a site, and may be written anew."""

DOWNLOADS = ("results.csv", "results.parquet", "results.jsonl", "provenance.json", "curves.svg", "table.tex")


def write_site(folder: Path, boards: Sequence[SiteBoard], claims: ClaimList | None = None) -> None:
    """Write a site into an empty folder, or over one that was written before.

    Pages name only files of the site, so that it opens from disk as from a server. Plotly lies in one file that all
    boards share. A list of claims is shown with what the boards say of them.

    Raises:
        PrunebenchError: the folder holds something else, or cannot be written, or two boards have one name.
    """
    slugs = [one.slug for one in boards]
    twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
    if twice:
        raise PrunebenchError(f"two leaderboards are called {', '.join(twice)}")
    try:
        if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise PrunebenchError(f"{folder}: it holds what is no site of prunebench; name another folder")
        _write(folder, boards, claims)
    except OSError as error:
        raise PrunebenchError(f"{folder}: it cannot be written ({error.strerror})") from error


def _write(folder: Path, boards: Sequence[SiteBoard], claims: ClaimList | None) -> None:
    from plotly.offline import get_plotlyjs

    if folder.exists():
        shutil.rmtree(folder)
    (folder / ASSETS).mkdir(parents=True)
    (folder / MARK).touch()
    # Pages of GitHub would leave out what begins with an underscore.
    (folder / ".nojekyll").touch()
    own = files(__package__)
    base = files("prunebench.leaderboard.page").joinpath("page.css").read_text(encoding="utf-8")
    _text(folder / ASSETS / STYLE, base + "\n" + own.joinpath(STYLE).read_text(encoding="utf-8"))
    _text(folder / ASSETS / SCRIPT, own.joinpath(SCRIPT).read_text(encoding="utf-8"))
    plotly = get_plotlyjs()
    shared = f"plotly-{hashlib.sha256(plotly.encode()).hexdigest()[:12]}.js"
    _text(folder / ASSETS / shared, plotly)
    _text(folder / "index.html", overview_page(boards))
    states = [] if claims is None else states_of(claims, boards)
    _text(folder / "claims.html", claims_page(boards, states))
    for name, text in method_pages(boards).items():
        _text(folder / name, text)
    for one in boards:
        place = folder / "boards" / one.slug
        place.mkdir(parents=True)
        write_page(place / "index.html", one.results, one.board, plotly=f"../../{ASSETS}/{shared}")
        for name in DOWNLOADS:
            if (one.folder / name).is_file() and not (one.folder / name).is_symlink():
                shutil.copyfile(one.folder / name, place / name)
    rows = [row for one in boards for row in one.results.rows]
    of = [one.slug for one in boards for _ in one.results.rows]
    _text(folder / f"{ALL}.csv", csv_text(rows, of))
    write_parquet(folder / f"{ALL}.parquet", rows, of)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
