"""`index.html`: the template with style, Plotly, our script and the data put in."""

from __future__ import annotations

import html
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from prunebench.api.board import Board
from prunebench.api.report import plain
from prunebench.api.results import Results
from prunebench.leaderboard.page.embedding import embedded, policy
from prunebench.leaderboard.page.overview import overview
from prunebench.leaderboard.page.packing import packed
from prunebench.leaderboard.page.trials import trials

INDEX = "index.html"

_SCRIPTS = ("dom.js", "charts.js", "legend.js", "table.js", "group.js", "curves.js", "trial.js", "page.js")
_HOME = '<nav class="home" aria-label="Site"><a href="../../index.html">All leaderboards</a></nav>'
"""On the page of a site: the way back."""
_STYLE = "/* Plotly puts its rules here, through the style sheet's interface. */"
_STYLE_IDS = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


def write_page(path: Path, results: Results, board: Board, plotly: str | None = None) -> None:
    """Write the page of a leaderboard into one HTML file: equal bytes for equal results, Plotly and zlib.

    It opens from disk and fetches nothing. Numbers are those of `results.jsonl`, aggregated; training curves and
    figures beyond a budget are thinned or left out, and the page says so.

    Args:
        path: the file to write, as a rule `index.html` beside `README.md`.
        board: of these results.
        plotly: where Plotly lies, as seen from the page: several pages of a site share a file. Without it, it is in the
            page.
    """
    from plotly.offline import get_plotlyjs

    opening, library = overview(board), get_plotlyjs()
    data = embedded({**opening, **packed(trials(results))})
    style, script = _asset("page.css"), _joined()
    page = Template(_asset("page.html")).substitute(
        policy=policy((script,) if plotly else (library, script), (style, _STYLE), files=plotly is not None),
        title=html.escape(plain(board.name)),
        home="" if plotly is None else _HOME,
        plotly_styles="\n".join(f'<style id="{name}">{_STYLE}</style>' for name in _styles(library)),
        style=style,
        data=data,
        plotly=f"<script>{library}</script>" if plotly is None else f'<script src="{html.escape(plotly)}"></script>',
        script=script,
    )
    Path(path).write_text(page, encoding="utf-8", newline="\n")


def _styles(plotly: str) -> list[str]:
    """The style elements that Plotly would make while it loads, which the page's policy forbids.

    It leaves those alone that are there: its own, and those of the map engine within it, named by a digest.
    """
    return ["plotly.js-style-global", *dict.fromkeys(_STYLE_IDS.findall(plotly))]


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _joined() -> str:
    """Our scripts in one scope of their own, each using only what stands before it when it is loaded."""
    return '(() => {\n"use strict";\n' + "\n".join(_asset(name) for name in _SCRIPTS) + "\n})();"
