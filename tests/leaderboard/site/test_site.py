"""A site over committed leaderboards: links lead somewhere, numbers are the boards', browsers have no complaint."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from prunebench.api.errors import PrunebenchError
from prunebench.api.report import value_text
from prunebench.commands.main import main
from prunebench.leaderboard import board_of
from prunebench.leaderboard.site.html import Html, joined, link, raw
from prunebench.leaderboard.site.methods import method_pages
from prunebench.leaderboard.site.source import SiteBoard
from prunebench.results.folder import read_results
from prunebench.runner.site import components_of, make_site

from ..boards import PROVENANCE, row, typed
from ..boards import results as rows_of_boards
from ..page.browser import Browser

ROOT = Path(__file__).parents[3]
BOARDS = ("quickstart", "lottery-mnist-reduced", "oneshot-cifar10-reduced-56")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name in BOARDS:
        shutil.copytree(ROOT / "leaderboards" / name, folder / "leaderboards" / name)
    done = CliRunner().invoke(
        main, ["site", str(folder / "leaderboards"), "--to", str(folder / "out"), "--files", str(ROOT)]
    )
    assert done.exit_code == 0, done.output
    assert "3 leaderboards" in done.output
    return folder / "out"


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_link_and_file_that_a_page_names_is_there(site: Path) -> None:
    for page in pages(site):
        text = page.read_text()
        for target in re.findall(r'(?:href|src)="([^"#]+)"', text):
            if target.startswith("data:"):
                continue
            assert not re.match(r"[a-z]+:", target), f"{page}: {target} is outside"
            found = (page.parent / unquote(unescape(target))).resolve()
            assert found.is_file(), f"{page}: {target}"
            assert found.is_relative_to(site.resolve())


def test_no_page_is_larger_than_a_phone_should_load(site: Path) -> None:
    assert all(page.stat().st_size < 1_500_000 for page in pages(site))


def test_what_leads_at_each_density_is_what_the_board_says(site: Path) -> None:
    overview = unescape(re.sub(r"<[^>]+>", "\n", (site / "index.html").read_text()))
    for name in BOARDS:
        for group in board_of(read_results(ROOT / "leaderboards" / name)).groups:
            for place in group.places:
                best = group.best(place)
                if place == 1.0 or best is None:
                    continue
                means = [cell.interval.mean for e in group.shown if not e.dense and (cell := e.at(place)).interval]
                cell = best.at(place)
                assert cell.interval is not None
                assert cell.interval.mean == (max if group.metric.higher else min)(means)
                assert value_text(cell, group.metric, group.trials) in overview


def test_all_results_are_in_one_file_with_the_board_beside_them(site: Path) -> None:
    table = parquet.read_table(site / "results.parquet").to_pylist()
    for name in BOARDS:
        rows = read_results(ROOT / "leaderboards" / name).rows
        own = [line for line in table if line["board"] == name]
        assert [(line["entry"], line["seed"], line["value"]) for line in own] == [
            (row.entry, row.seed, row.value) for row in rows
        ]
    assert (site / "results.csv").read_text().splitlines()[0].endswith(",board")


def test_the_page_of_a_method_names_the_entries_that_use_it(site: Path) -> None:
    page = (site / "methods" / "reinit.html").read_text()
    assert "quickstart" in page
    assert "imp-reinit" in page
    assert "one-shot<" not in page


def test_the_page_of_a_method_says_where_it_does_not_apply() -> None:
    nothing = {"role": "find", "metric": "", "split": "", "unit": "", "position": "", "key": "", "round": 1}
    apart = row("slimming", 0, None, None, **nothing, outcome="inapplicable", note="no batch <norm>")
    made = typed([*rows_of_boards(), apart], (), PROVENANCE)
    uses = {"imp": ("magnitude",), "slimming": ("magnitude",)}
    page = method_pages([SiteBoard("one", Path(), made, board_of(made), uses)])["methods/magnitude.html"]
    assert "slimming does not apply to this network: no batch &lt;norm&gt;." in page
    assert ">does not apply<" in page


def test_a_site_is_written_over_a_site_and_over_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "leaderboards"
    shutil.copytree(ROOT / "leaderboards" / "quickstart", source / "quickstart")
    make_site(source, tmp_path / "out")
    (tmp_path / "out" / "old.html").touch()
    make_site(source, tmp_path / "out")
    assert not (tmp_path / "out" / "old.html").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(PrunebenchError, match="it holds what is no site of prunebench"):
        make_site(source, tmp_path / "mine")
    with pytest.raises(PrunebenchError, match="no leaderboard in it"):
        make_site(tmp_path / "mine", tmp_path / "out")


def test_a_benchmark_file_outside_is_not_read(tmp_path: Path) -> None:
    from prunebench.components.catalogue import Catalogue

    provenance = read_results(ROOT / "leaderboards" / "quickstart").provenance
    assert components_of(provenance, ROOT, Catalogue.load())
    for file in ("../benchmarks/quickstart.toml", str(ROOT / "benchmarks" / "quickstart.toml"), "absent.toml"):
        changed = provenance.model_copy(update={"file": file})
        assert components_of(changed, ROOT / "docs", Catalogue.load()) == {}


def test_text_of_a_stranger_stays_text() -> None:
    hostile = '<script>alert(1)</script>"\u202e'
    assert "<script" not in raw(hostile) + link("x", hostile).text + joined([hostile, Html("<b>")]).text
    assert "\u202e" not in raw(hostile)


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_open_from_disk_fit_the_screen_and_can_be_searched(site: Path, browser: Browser, width: int) -> None:
    for name in ("claims.html", "methods.html", "methods/magnitude.html", "index.html"):
        browser.open(site / name, width, 900)
        browser.wait("document.readyState === 'complete'")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), name
        assert browser.run("getComputedStyle(document.querySelector('section')).borderRadius") == "12px", "no style"
        assert browser.complaints == []
    shown = "[...document.querySelectorAll('tbody')][0].querySelectorAll('tr:not([hidden])').length"
    assert browser.run(shown) == 3
    field = "document.querySelector('[data-filter]')"
    browser.run(f"{field}.value = 'mnist5k'")
    browser.run(f"{field}.dispatchEvent(new Event('input'))")
    assert browser.run(shown) == 1


def test_the_page_of_a_board_draws_with_the_shared_library(site: Path, browser: Browser) -> None:
    browser.open(site / "boards" / "quickstart" / "index.html", 1280, 900)
    browser.wait("[...document.querySelectorAll('.chart')].every(node => node.dataset.drawn)")
    assert browser.complaints == []
    assert browser.run("document.querySelector('.home a').textContent") == "All leaderboards"
