"""The page in a real browser, opened from disk: sorted, filtered, clicked and typed through."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunebench.leaderboard import board_of
from prunebench.leaderboard.page import INDEX, packing, write_page

from ..boards import typed_detail
from .boards import board
from .browser import Browser

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
HOSTILE = '<b>imp</b> <img src=x onerror="window.hit=1"> &amp; %{x} $a$ \u202eevil </script>'
DRAWN = "[...document.querySelectorAll('.chart')].every(node => node.dataset.drawn)"
NAMES_SHOWN = "[...document.querySelectorAll('.results tbody th .name')].map(node => node.textContent)"
FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written: Path = tmp_path_factory.mktemp("page") / INDEX
    results = board()
    write_page(written, results, board_of(results))
    return written


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Browser, path: Path) -> Iterator[Browser]:
    """The page at a size; whatever a test did with it, it complained of nothing and asked for nothing but itself."""
    with visited(browser, path, *SIZES[request.param]):
        yield browser


@contextmanager
def visited(browser: Browser, path: Path, width: int, height: int, **options: Any) -> Iterator[None]:
    browser.open(path, width, height, **options)
    browser.wait(DRAWN)
    yield
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]


def opened(page: Browser) -> bool:
    return bool(page.run("document.getElementById('trial').open"))


def open_trial(page: Browser, selector: str = ".results tbody tr:nth-child(2) .name") -> None:
    page.click(selector)
    page.wait("document.querySelectorAll('dialog[open] .chart').length === 3")
    page.wait(DRAWN)


def test_a_click_on_a_density_sorts_by_it_and_another_the_other_way(page: Browser) -> None:
    head = ".results thead th:nth-child(5)"
    state = f"document.querySelector('{head}').getAttribute('aria-sort')"
    assert page.run(state) == "none"
    page.click(f"{head} button")
    assert page.run(state) == "descending"
    assert page.run(NAMES_SHOWN) == ["imp", "imp-late", "random", "dense"]
    page.click(f"{head} button")
    assert page.run(state) == "ascending"
    assert page.run(NAMES_SHOWN) == ["random", "imp-late", "imp", "dense"]
    page.click(".results thead th:nth-child(2) button")
    assert page.run(state) == "none"
    assert page.run(NAMES_SHOWN) == ["dense", "imp", "imp-late", "random"]


def test_typing_filters_the_table_and_the_chart_and_says_how_many_are_left(page: Browser) -> None:
    lines = "document.querySelectorAll('#results .chart .scatterlayer .trace').length"
    before = page.run(lines)
    page.click("#results input[type=search]")
    page.write("LATE")
    assert page.run(NAMES_SHOWN) == ["imp-late"]
    assert page.run("document.querySelector('#results output').textContent") == "1 of 4 entries"
    page.wait(f"{lines} < {before}")
    page.run(
        "(i => { i.value = ''; i.dispatchEvent(new Event('input')) })(document.querySelector('input[type=search]'))"
    )
    page.run("(s => { s.value = 'broken'; s.dispatchEvent(new Event('change')) })(document.querySelector('select'))")
    assert page.run(NAMES_SHOWN) == ["random"]


def test_a_cell_shows_mean_interval_n_and_what_is_not_ok(page: Browser) -> None:
    cell = page.run("document.querySelector('.results tbody tr:last-child td:nth-child(6)').innerText").split()
    assert cell[1] == "±"
    assert cell[3] == "n=2:"
    assert len(cell[4:6]) == 2
    assert " ".join(cell[6:]) == "1 of 3 collapsed"


def test_a_trial_opens_by_a_click_and_closes_by_escape(page: Browser) -> None:
    open_trial(page)
    assert page.run("location.hash") == "#trial=lenet/mnist/imp/0"
    assert "imp, seed 0" in page.run("document.getElementById('trial-title').textContent")
    assert page.run("document.querySelector('dialog img').naturalWidth") == 80
    page.press("Escape")
    page.until(lambda: not opened(page), "the dialog closes")
    page.wait("location.hash === ''")


def test_a_trial_opens_by_the_keyboard_which_then_stays_within_it(page: Browser) -> None:
    page.run("document.querySelector('.results tbody tr:nth-child(2) .name').focus()")
    page.press("Enter")
    page.until(lambda: opened(page), "the dialog opens")
    assert page.run("document.activeElement.textContent") == "Close"
    outside = "!document.activeElement.closest('dialog') && document.activeElement !== document.body"
    for _ in range(40):
        page.press("Tab")
        assert not page.run(outside)
    page.press("Escape")
    page.until(lambda: not opened(page), "the dialog closes")
    assert page.run("document.activeElement.textContent") == "imp"


def test_seeds_lead_from_trial_to_trial_and_back_leads_out(page: Browser) -> None:
    open_trial(page)
    page.click("dialog nav .seeds a:nth-child(3)")
    page.wait("document.getElementById('trial-title').textContent.includes('seed 2')")
    assert page.run("document.querySelector('dialog [aria-current]').textContent") == "2"
    page.run("history.go(-2)")
    page.until(lambda: not opened(page), "the dialog closes")


def test_the_trials_numbers_stand_in_tables_beside_its_charts(page: Browser) -> None:
    open_trial(page)
    summaries = "[...document.querySelectorAll('dialog summary')]"
    page.run(f"{summaries}.filter(node => node.textContent.endsWith('numbers')).forEach(node => node.click())")
    page.wait("document.querySelectorAll('dialog details[open] table').length === 3")
    cells = page.run("[...document.querySelectorAll('dialog details[open] table')].map(t => t.rows[1].innerText)")
    assert cells[0].split() == ["0", *(cells[0].split()[1:])]
    assert "50.00 % (500)" in cells[2]


def test_a_split_can_be_added_to_the_training_curves(page: Browser) -> None:
    open_trial(page)
    lines = "document.querySelector('dialog .chart').querySelectorAll('.scatterlayer .trace').length"
    assert page.run(lines) == 3
    page.click("dialog .legend button[aria-pressed=false]")
    page.wait(f"{lines} === 6")


def test_dark_and_light_follow_the_system_until_the_toggle_is_used(browser: Browser, path: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    tick = "getComputedStyle(document.querySelector('.chart .xtick text')).fill"
    light, dark = "rgb(246, 247, 249)", "rgb(15, 19, 24)"
    with visited(browser, path, 1280, 900, dark=True):
        assert browser.run(ground) == dark
        before = browser.run(tick)
        browser.click(".theme")
        assert browser.run(ground) == light
        browser.until(lambda: browser.run(tick) != before, "the chart takes the theme's colours")
        assert browser.run("document.querySelector('.theme').textContent") == "Dark theme"
    with visited(browser, path, 1280, 900, dark=True):
        assert browser.run(ground) == light
        browser.run("localStorage.clear()")


def test_the_page_never_scrolls_sideways_and_tables_scroll_in_their_boxes(page: Browser) -> None:
    assert page.run(FITS)
    open_trial(page)
    assert page.run(FITS)
    assert page.run("document.getElementById('trial').scrollWidth <= innerWidth")
    boxes = "[...document.querySelectorAll('.scroll')].every(node => node.getBoundingClientRect().right <= innerWidth)"
    assert page.run(boxes)


def test_the_first_tab_offers_to_skip_to_the_results(page: Browser) -> None:
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Skip to the results"
    assert page.run("document.activeElement.getBoundingClientRect().left") == 0
    page.press("Enter")
    page.wait("document.activeElement.id === 'results'")


def test_what_a_screen_reader_needs_is_there(page: Browser) -> None:
    open_trial(page)
    without = (
        "[...document.querySelectorAll('button, a, input, select, img, dialog, [role=img], [role=region], table')]"
        ".filter(n => !(n.innerText || n.alt || n.caption || n.labels?.length || n.getAttribute('aria-label')"
        " || n.getAttribute('aria-labelledby'))).map(n => n.outerHTML)"
    )
    assert page.run(without) == []
    assert page.run("[...document.querySelectorAll('table')].every(table => table.caption !== null)")
    assert page.run("document.documentElement.lang") == "en"


def test_an_address_with_a_trial_opens_it_and_an_unknown_one_does_not(browser: Browser, path: Path) -> None:
    with visited(browser, path, 1280, 900, fragment="#trial=lenet/mnist/random/2"):
        browser.until(lambda: opened(browser), "the dialog opens")
        assert "collapsed" in browser.run("document.getElementById('trial-title').textContent")
    with visited(browser, path, 1280, 900, fragment="#trial=no/such/trial/0"):
        assert not opened(browser)


def test_a_trial_of_a_large_page_is_unpacked_when_it_is_opened(
    browser: Browser, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "WHOLE", 0)
    write_page(tmp_path / INDEX, board(), board_of(board()))
    texts = []
    for page in (path, tmp_path / INDEX):
        with visited(browser, page, 1280, 900, fragment="#trial=lenet/mnist/random/2"):
            browser.wait("document.querySelectorAll('dialog[open] .chart').length === 3")
            texts.append(browser.run("document.getElementById('trial').textContent"))
    assert texts[0] == texts[1]
    assert "collapsed" in texts[1]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_hostile_names_show_as_themselves_and_run_nothing(browser: Browser, tmp_path: Path, size: Any) -> None:
    entries = ("dense", HOSTILE, "random")
    layer = [{"name": HOSTILE, "units": 10, "kept": 5}]
    results = board(entries=entries, name=HOSTILE, claim=HOSTILE, notes=[HOSTILE])
    details = [line.to_json() for line in results.details]
    details = [{**line, "layers": layer} if line["kind"] == "evaluation" else line for line in details]
    figure = (
        '<svg xmlns="http://www.w3.org/2000/svg"><script>top.hit = 1</script><image href="http://x.invalid/"/></svg>'
    )
    trial = {name: details[-1][name] for name in ("entry", "model", "data", "seed", "key")}
    drawn = [{"name": HOSTILE, "caption": HOSTILE, "svg": figure}]
    details[-1] = {**trial, "kind": "analysis", "analysis": HOSTILE, "figures": drawn}
    results = replace(results, details=[*map(typed_detail, details)])
    write_page(tmp_path / INDEX, results, board_of(results))
    shown = HOSTILE.replace("\u202e", " ").replace("  ", " ")
    with visited(browser, tmp_path / INDEX, *size):
        assert browser.run("document.querySelector('.claim bdi').textContent") == shown
        assert shown in browser.run(NAMES_SHOWN)
        box = browser.run(
            "(node => { node.scrollIntoView({block: 'center'}); const {x, y} = node.getBoundingClientRect();"
            " return [x + 4, y + 4] })(document.querySelector('#results .scatterlayer .point'))"
        )
        browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
        browser.wait("document.querySelector('.hoverlayer text')?.textContent.includes('<b>imp</b> <img src=x')")
        open_trial(browser, f".results tbody tr:nth-child({1 + browser.run(NAMES_SHOWN).index(shown)}) .name")
        browser.click("dialog .seeds a:nth-child(1)")
        open_trial(browser, "dialog .seeds a:nth-child(3)")
        assert browser.run("window.hit") is None
        assert browser.run("document.querySelectorAll('img:not(.picture), .chart a, bdi *, .name *').length") == 0
        assert browser.run(FITS)
