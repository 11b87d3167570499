import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebench import PrunebenchError
from prunebench.api.report import escape, table
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows

from .boards import ENTRIES, PROVENANCE, results, row, typed_row, write

EXPECTATION: dict[str, Any] = {
    "source": "Somebody 2020",
    "claim": "random beats imp",
    "better": "random",
    "worse": "imp",
    "metric": "test/accuracy",
    "density": 0.0687,
}
HOSTILE = "<script>alert(1)</script> | `rm` [x](javascript:1) **b** $x$ \\| a\n\n# b \u202e"


def test_a_leaderboard_is_its_files_and_reads_back(tmp_path: Path) -> None:
    write(tmp_path / "new" / "board", results())
    assert sorted(path.name for path in (tmp_path / "new" / "board").iterdir()) == [
        "README.md",
        "curves.svg",
        "details.jsonl",
        "provenance.json",
        "results.csv",
        "results.jsonl",
        "results.parquet",
        "table.tex",
    ]
    assert read_rows(tmp_path / "new" / "board") == [typed_row(r) for r in results()]


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, results(), expectations=[EXPECTATION])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(results()))
def test_the_page_and_the_picture_do_not_depend_on_the_order_of_the_rows(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    write(tmp_path / "a", results())
    write(tmp_path / "b", rows)
    for name in ("README.md", "curves.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_page_opens_with_what_a_sceptic_asks(tmp_path: Path) -> None:
    page = write(tmp_path, results(), expectations=[EXPECTATION])
    asked = [
        "Tickets win.",
        "3 seeds (0, 1, 2); Some CPU, 2 cores, 15.6 GiB, trained on cpu; 1 h 10 min of wall time; finished 2026-02-03.",
        "Reduced: nothing",
        "## lenet on mnist",
        "| rank |",
        "Order: mean of test/accuracy",
        "Rank: entries that cannot be told apart share one",
        "Difference to dense",
        "## Held against published results",
        "**contradicted**: random beats imp",
        "(curves.svg)",
        "## Behind the table: lenet on mnist",
        "### Neighbours in rank",
        "### Other seeds, other images",
        "### Area under the curve",
        "### Smallest density that keeps the dense value",
        "### Trials that are not ok",
        "## Across models and data",
        "## How this was made",
        "prunebench run benchmarks/lottery-ticket.toml",
        "Han et al. 2015",
        "## How to reproduce it",
    ]
    places = [page.find(part) for part in asked]
    assert -1 not in places
    assert places == sorted(places)


def test_a_profile_is_said_to_be_reduced_and_stands_in_the_command(tmp_path: Path) -> None:
    provenance = {**PROVENANCE, "profile": "smoke"}
    page = write(tmp_path, results(), provenance=provenance, notes=["a subset"], expectations=[EXPECTATION])
    assert '- Profile "smoke": never ranked with full results.' in page
    assert "- a subset" in page
    assert "prunebench run benchmarks/lottery-ticket.toml --profile smoke" in page
    assert "**not judged (reduced recipe)**" in page


def test_a_profile_that_a_note_tells_of_is_not_told_twice(tmp_path: Path) -> None:
    page = write(
        tmp_path, results(), provenance={**PROVENANCE, "profile": "smoke"}, notes=['Reduced: profile "smoke".']
    )
    assert page.count('"smoke"') == 2
    assert page.startswith('# lottery, profile "smoke"\n')
    assert page.count('- Reduced: profile "smoke".') == 1


def test_the_command_and_the_wall_time_leave_nothing_out(tmp_path: Path) -> None:
    runs = {"naive": 112, "distinct": 61, "cached": 60}
    page = write(tmp_path, results(), provenance={**PROVENANCE, "settings": ["train.batch=60; rm"], "runs": runs})
    assert "1 h 10 min of wall time, without that of 60 of 61 runs, which were in the store;" in page
    assert "prunebench run benchmarks/lottery-ticket.toml --set 'train.batch=60; rm'\n" in page


def test_without_reference_and_expectations_there_is_no_such_section(tmp_path: Path) -> None:
    page = write(tmp_path, results(), against=None)
    assert "Difference to" not in page
    assert "contradicts" not in page


def test_every_model_and_data_set_has_its_own_tables(tmp_path: Path) -> None:
    page = write(tmp_path, [*results(), *results(model="conv2")])
    assert page.count("| rank | entry / density") == 2
    assert page.index("## conv2 on mnist") < page.index("## lenet on mnist")


def test_provenance_is_sorted_and_whole(tmp_path: Path) -> None:
    write(tmp_path, results())
    text = (tmp_path / "provenance.json").read_text()
    provenance = read_provenance(tmp_path).to_json()
    assert PROVENANCE.items() <= provenance.items()
    assert provenance["report"]["claim"] == "Tickets win."
    assert text == json.dumps(provenance, indent=2, sort_keys=True) + "\n"


def test_a_folder_of_a_newer_prunebench_is_refused(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"schema": 2}')
    with pytest.raises(PrunebenchError, match="written with schema 2, and this prunebench reads up to 1"):
        read_provenance(tmp_path)


def test_ranks_are_drawn_from_five_models_and_data_sets_on_and_not_left_over(tmp_path: Path) -> None:
    rows = [r for data in "abcde" for r in results(data=data)]
    assert "![mean ranks with the critical difference](ranks.svg)" in write(tmp_path, rows)
    assert (tmp_path / "ranks.svg").is_file()
    fewer = [r for r in rows if r["data"] != "e"]
    assert "No test: too few: 3 entries in 4 blocks" in write(tmp_path, fewer)
    assert not (tmp_path / "ranks.svg").exists()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "not a leaderboard"), (b"{", "damaged: not JSON"), (b"[]", "damaged: not an object")]
)
def test_damaged_provenance_is_an_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "provenance.json").write_bytes(content)
    with pytest.raises(PrunebenchError, match=said):
        read_provenance(tmp_path)


def test_a_board_where_everything_failed_is_still_written(tmp_path: Path) -> None:
    rows = [row(entry, 0, 0.5, None, outcome="failed") for entry in ENTRIES]
    page = write(tmp_path, [*rows, row("dense", 0, 1.0, None, outcome="diverged")])
    assert page.count("(1 of 1 failed)") == 3
    assert "(1 of 1 diverged)" in page


def test_a_trial_without_any_density_is_told_of(tmp_path: Path) -> None:
    page = write(tmp_path, [row("dense", 0, 1.0, 0.9), row("imp", 3, None, None, role="find", outcome="failed")])
    assert "No value, and no density to show that at: imp with seed 3 (failed)." in page


def test_a_wrong_metric_is_an_error_and_not_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no evaluation has it"):
        write(tmp_path, results(), metric="test/acc")


def test_hostile_names_break_neither_tables_nor_text(tmp_path: Path) -> None:
    rows = [
        {**r, "entry": HOSTILE if r["entry"] == "imp" else r["entry"], "model": HOSTILE, "data": HOSTILE}
        for r in results()
    ]
    page = write(
        tmp_path,
        rows,
        name=HOSTILE,
        claim=HOSTILE,
        notes=[HOSTILE],
        entries=["dense", HOSTILE],
        expectations=[{**EXPECTATION, "better": HOSTILE, "source": HOSTILE, "claim": HOSTILE}],
        provenance={
            **PROVENANCE,
            "file": HOSTILE + "\n```\n# out",
            "profile": HOSTILE,
            "hardware": {"cpu": HOSTILE, "cores": 1, "memory_gib": None, "device": HOSTILE},
            "components": {HOSTILE: {"version": 1, "distribution": HOSTILE, "paper": HOSTILE}},
            "environment": {HOSTILE: HOSTILE},
        },
    )
    prose, command = re.sub(r"```sh\n(.*)\n```", "", page), re.findall(r"```sh\n(.*)\n```", page)
    assert len(command) == 1
    assert "<script" not in prose
    assert "](javascript" not in prose.replace("\\](javascript", "")
    assert not re.search(r"(?<!\\)`rm", prose)
    assert not re.search(r"(?<!\\)\$x", prose)
    assert "\u202e" not in page
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert len(headings) == 15
    for block in page.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines}) <= 1


@given(st.text())
def test_an_escaped_name_is_one_line_without_markup(name: str) -> None:
    escaped = escape(name)
    assert len(escaped.splitlines()) <= 1
    assert not re.search(r"[<>]", escaped)
    for special in "|`*[]$":
        assert len(re.findall(r"\\" + re.escape(special), escaped)) == escaped.count(special)


def test_what_looks_like_an_entity_stays_text() -> None:
    assert escape("&lt;b&#62; &x") == "&amp;lt;b&amp;#62; &x"


def test_ordinary_names_stay_readable() -> None:
    for name in ("imp-late", "cifar_resnet20", "lr-0.05/0.2", "Frankle & Carbin 2019", "θ=2"):
        assert escape(name) == name


def test_a_table_is_padded_by_what_a_terminal_shows() -> None:
    assert table(["a", "b"], [["名", "1"], ["xyz", "22"]], "lr") == (
        "| a   |   b |\n| --- | --: |\n| 名  |   1 |\n| xyz |  22 |"
    )


def test_importing_the_leaderboard_is_cheap() -> None:
    code = (
        "import sys, prunebench.leaderboard as b; b.write_leaderboard, b.board_of; "
        "print([m for m in ('matplotlib', 'scipy', 'numpy', 'pandas', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_needs_no_screen_and_no_global_figure() -> None:
    code = (
        "import sys; from leaderboard.boards import board, results; from prunebench.api.report import draw_curves; "
        "draw_curves(board(results(seeds=1))); print('matplotlib.pyplot' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"
