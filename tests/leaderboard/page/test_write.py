import base64
import hashlib
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from prunebench import PrunebenchError
from prunebench.api.report import plain
from prunebench.leaderboard import board_of
from prunebench.leaderboard.page import INDEX, packing, trials, write_page

from ..boards import row
from .boards import ENTRIES, board, evaluation, results_of
from .reading import Page
from .test_embedding import hostile


def written(folder: Path, **changes: Any) -> Page:
    results = board(**changes)
    folder.mkdir(exist_ok=True)
    write_page(folder / INDEX, results, board_of(results))
    return Page(folder / INDEX)


def test_the_page_is_one_file_that_refers_to_nothing_it_would_load(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    loaded = [attrs[name] for tag, attrs in page.tags for name in ("src", "srcset", "href", "data") if name in attrs]
    assert loaded == ["data:,", "#results"]


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_page(tmp_path / name, board(), board_of(board()))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_bytes_do_not_depend_on_the_hashing_of_a_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from leaderboard.page.boards import board; "
        "from prunebench.leaderboard import board_of; from prunebench.leaderboard.page import write_page; "
        "write_page(Path(sys.argv[1]), board(), board_of(board()))"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", script, str(tmp_path / seed)], check=True, env=environment)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_only_what_the_policy_names_by_its_hash_is_in_the_page(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert page.policy["default-src"] == ["'none'"]
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        texts = [text for name, attrs, text in page.texts if name == tag and attrs.get("type") is None]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert {f"'sha256-{digest}'" for digest in digests} == set(page.policy[directive])
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)


def test_it_opens_with_claim_n_hardware_hours_reductions_and_expectations(tmp_path: Path) -> None:
    data = written(tmp_path).data
    assert data["claim"] == "Tickets win."
    assert dict(data["facts"]) == {
        "n": "3 seeds (0, 1, 2)",
        "Hardware": "Some CPU, 2 cores, 15.6 GiB, trained on cpu",
        "Wall time": "1 h 10 min",
        "Training runs": "61 distinct of 112 asked for",
        "Finished": "2026-02-03",
        "Tier": "self-reported",
    }
    assert data["notes"] == ["A subset of MNIST."]
    assert [item["verdict"] for item in data["expectations"]] == ["contradicted"]


def test_a_profile_is_told_where_no_note_tells_it(tmp_path: Path) -> None:
    data = written(tmp_path, provenance={"profile": "smoke"}).data
    assert data["notes"][0] == 'Profile "smoke": never ranked with full results.'
    assert data["made"]["command"] == "prunebench run benchmarks/lottery-ticket.toml --profile smoke"


def test_cells_have_mean_interval_n_and_outcomes_in_printed_units(tmp_path: Path) -> None:
    group = written(tmp_path).data["groups"][0]
    entries = {entry["name"]: entry for entry in group["entries"]}
    assert group["labels"] == ["100 %", "51.2 %", "26.2 %", "13.4 %"]
    assert [entry["dense"] for entry in group["entries"]] == [True, False, False, False]
    whole, broken = entries["imp"]["cells"][1], entries["random"]["cells"][3]
    assert (whole["n"], whole["outcomes"]) == (3, {})
    assert whole["low"] < whole["mean"] < whole["high"]
    assert whole["text"] == f"{whole['mean']:.2f}"
    assert 90 < whole["mean"] < 100
    assert (broken["n"], broken["trials"], broken["outcomes"]) == (2, 3, {"collapsed": 1})
    assert entries["dense"]["cells"][1:] == [None, None, None]


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    cell = written(tmp_path, seeds=1).data["groups"][0]["entries"][1]["cells"][1]
    assert (cell["n"], cell["low"], cell["high"], cell["spread"]) == (1, None, None, "")


def test_results_without_details_have_a_page_too(tmp_path: Path) -> None:
    data = written(tmp_path, details=False).data
    assert len(data["trials"]) == 3 * len(ENTRIES)
    assert data["series"] == data["positions"] == []


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The tags of a page with ordinary names."""
    return [tag for tag, _ in written(tmp_path_factory.mktemp("ordinary")).tags]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile)
def test_no_name_changes_what_a_parser_sees_of_the_page(tmp_path: Path, tags: list[str], text: str) -> None:
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is in no file that is read
    entries = ("dense", text + "x", "random")
    page = written(tmp_path, entries=entries, name=text, claim=text, notes=[text], provenance={"file": text})
    assert [tag for tag, _ in page.tags] == tags
    assert page.data["notes"] == [plain(text)]
    assert len(page.data["trials"]) == 9


def test_our_scripts_put_no_markup_into_the_page_and_evaluate_nothing() -> None:
    folder = Path(sys.modules["prunebench.leaderboard.page"].__path__[0])
    scripts = sorted(folder.glob("*.js"))
    assert scripts
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
        r"|fetch\(|XMLHttp|import\(|setAttribute\(\"(style|on)"
    )
    assert [
        (path.name, forbidden.findall(path.read_text())) for path in scripts if forbidden.search(path.read_text())
    ] == []


def test_without_results_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no results"):
        board_of(board(seeds=0))
    assert list(tmp_path.iterdir()) == []


def test_importing_it_imports_no_plotly() -> None:
    script = "import sys; import prunebench.leaderboard.page; assert 'plotly' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_large_page_holds_its_trials_packed_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_trials = written(tmp_path / "plain").data["trials"]
    monkeypatch.setattr(packing, "WHOLE", 1_000)
    page = written(tmp_path / "packed")
    assert all("tickets" not in trial for trial in page.data["trials"])
    assert [packing.unpacked(trial) for trial in page.data["trials"]] == plain_trials


def test_fifty_thousand_rows_make_a_page_of_two_megabytes_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 420 trials of 20 tickets with 6 numbers each; their numbers and keys are as good as random. Two of them here, the
    # budgets in proportion.
    shown, whole = 2, 420
    for module, name in ((packing, "WHOLE"), (trials, "NUMBERS"), (trials, "ADDRESSED")):
        monkeypatch.setattr(module, name, getattr(module, name) * shown // whole)
    rng, rows, lines = Random(0), [], []
    for seed, round_ in product(range(shown), range(20)):
        key, value = rng.randbytes(32).hex(), rng.random()
        rows.append(row("imp", seed, 0.8**round_, value, round=round_, key=key))
        line = evaluation("imp", seed, round_, value, points=21, key=key)
        for point, split in product(line["curve"], ("train", "valid", "test")):
            # Of 10,000 images so many; a mean over them.
            point.update({f"{split}/accuracy": rng.randrange(10_001) / 10_000, f"{split}/loss": rng.random()})
        line["artifacts"] = {name: rng.randbytes(32).hex() for name in ("curve", "mask", "weights")}
        lines.append(line)
    results = results_of(rows, lines, ("imp",))
    write_page(tmp_path / INDEX, results, board_of(results), plotly="plotly.js")
    held = sum(len(trial["packed"]) for trial in Page(tmp_path / INDEX).data["trials"])
    assert held * whole / shown < 2_000_000
