"""What was found out about files is asked for again only when one has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prunebench.kernels import file_facts
from prunebench.kernels.file_facts import remembered


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_facts, "SETTLED", -1.0)


class Asked:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, int]:
        self.times += 1
        return {"times": self.times}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_text("before")
    return paths


def test_an_answer_is_kept_while_the_files_stand(files: list[Path]) -> None:
    asked = Asked()
    assert [remembered("how many", files, asked) for _ in range(3)] == [{"times": 1}] * 3
    assert remembered("how many", files[:1], asked) == {"times": 2}
    assert remembered("how large", files, asked) == {"times": 3}


def test_a_change_of_equal_size_and_time_is_noticed(files: list[Path]) -> None:
    asked = Asked()
    remembered("how many", files, asked)
    before = files[0].stat()
    files[0].write_text("after!")
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (files[0].stat().st_size, files[0].stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert remembered("how many", files, asked) == {"times": 2}


def test_an_absent_file_is_asked_about_each_time(files: list[Path]) -> None:
    asked = Asked()
    for _ in range(2):
        remembered("how many", [*files, Path("nowhere")], asked)
    assert asked.times == 2


def test_files_that_changed_just_now_are_asked_about_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_facts, "SETTLED", 60.0)
    asked = Asked()
    for _ in range(2):
        remembered("how many", files, asked)
    assert asked.times == 2


def test_files_that_change_meanwhile_are_asked_about_again(files: list[Path]) -> None:
    asked = Asked()

    def change() -> dict[str, int]:
        files[1].write_text("meanwhile")
        return asked()

    remembered("how many", files, change)
    assert remembered("how many", files, asked) == {"times": 2}


def test_what_fails_is_not_kept(files: list[Path]) -> None:
    with pytest.raises(ZeroDivisionError):
        remembered("how many", files, lambda: 1 // 0)
    assert remembered("how many", files, lambda: 5) == 5


@pytest.mark.parametrize("content", ["", "[]", "{", '{"stamp": 1}', '{"answer": 7}'])
def test_a_damaged_cache_is_asked_about_again(files: list[Path], tmp_path: Path, content: str) -> None:
    remembered("how many", files, Asked())
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(content)
    assert remembered("how many", files, lambda: 9) == 9
    assert remembered("how many", files, lambda: 10) == 9


def test_a_cache_that_cannot_be_written_costs_the_answer_alone(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNEBENCH_CACHE", str(files[0] / "below-a-file"))
    assert [remembered("how many", files, lambda n=n: n) for n in (1, 2)] == [1, 2]  # type: ignore[misc]
