"""Elements of a site's pages. Every text is escaped where it enters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape as _escape
from importlib.resources import files
from string import Template

from prunebench.api.report import plain

STYLE, SCRIPT = "site.css", "site.js"
"""The files that pages share, in the folder `assets`."""

ASSETS = "assets"

POLICY = (
    "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src 'self' file: data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Only files of the site: it opens from disk as from a server."""

PAGES = (("index.html", "Leaderboards"), ("methods.html", "Methods"), ("claims.html", "Published claims"))


@dataclass(frozen=True)
class Html:
    """Text that is HTML already."""

    text: str


Content = str | Html


def raw(content: Content) -> str:
    """Content as HTML."""
    if isinstance(content, Html):
        return content.text
    # A blank at an end stands between this text and its neighbour.
    return " " * content.startswith(" ") + _escape(plain(content)) + " " * content.endswith(" ")


def link(target: str, text: Content) -> Html:
    """A link to another page of the site, or to a file of it."""
    return Html(f'<a href="{_escape(target)}">{raw(text)}</a>')


def badge(text: str, kind: str = "") -> Html:
    """A short remark."""
    return Html(f'<span class="badge {kind}">{raw(text)}</span>')


def joined(parts: Iterable[Content], between: str = " ") -> Html:
    """Contents one after the other."""
    return Html(between.join(raw(part) for part in parts))


def paragraph(*parts: Content) -> str:
    """A paragraph."""
    return f"<p>{joined(parts, '').text}</p>"


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Content]],
    filterable: bool = False,
    numbers: bool = False,
) -> str:
    """A table that scrolls on its own where it is too wide: of prose and links, or of numbers, each on one line."""
    cells = "".join(f'<th scope="col">{raw(text)}</th>' for text in head)
    lines = []
    for first, *rest in rows:
        others = "".join(f"<td>{raw(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row"><span>{raw(first)}</span></th>{others}</tr>')
    titled = f"<caption><span>{raw(caption)}</span></caption>" if caption else ""
    search = (
        '<div class="controls"><label>Search <input type="search" data-filter></label><output></output></div>'
        if filterable
        else ""
    )
    return (
        f'{search}<div class="scroll"><table class="prose{" numbers" if numbers else ""}">{titled}'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def section(title: str, *parts: str, anchor: str = "") -> str:
    """A part of a page with a heading; `anchor` is what links to it name."""
    named = f' id="{_escape(anchor)}"' if anchor else ""
    return f"<section{named}><h2>{raw(title)}</h2>{''.join(parts)}</section>"


def page(title: str, lead: Content, *parts: str, root: str = "", here: str = "") -> str:
    """A whole page.

    Args:
        root: from the page to the site's root, "" or "../".
        here: the entry of PAGES that it is.
    """
    navigation = "".join(
        f'<a href="{root}{file}"{" aria-current=page" if file == here else ""}>{raw(name)}</a>' for file, name in PAGES
    )
    return Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8")).substitute(
        policy=POLICY,
        title=raw(title),
        assets=f"{root}{ASSETS}",
        navigation=navigation,
        lead=raw(lead),
        main="\n".join(parts),
    )
