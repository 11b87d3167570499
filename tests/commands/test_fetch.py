"""`prunebench run FILE --fetch`: from an empty data root to a leaderboard, over a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from click.testing import CliRunner

from prunebench.commands.main import main
from prunebench_plugins.data import fashion_mnist


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str] = []

    def log_message(self, format: str, *args: Any) -> None:
        self.asked.append(self.path)


def idx(array: np.ndarray[Any, Any]) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes())


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sixty images of ten kinds on a server, as Fashion-MNIST's publisher has them."""
    served = tmp_path / "served"
    served.mkdir()
    rng = np.random.default_rng(0)
    md5 = {}
    for name in fashion_mnist.MD5:
        count = 40 if name.startswith("train") else 20
        images = rng.integers(0, 256, (count, 28, 28), "uint8")
        content = idx(images if "idx3" in name else (np.arange(count) % 10).astype("uint8"))
        (served / f"{name}.gz").write_bytes(content)
        md5[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    Quiet.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(fashion_mnist, "MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
    monkeypatch.setattr(fashion_mnist, "MD5", md5)
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def benchmark(folder: Path) -> None:
    table = {
        "schema": 1,
        "seeds": [0],
        "densities": [0.5],
        "data": {"use": "fashion-mnist", "valid": 10},
        "model": {"name": "lenet_300_100"},
        "train": {"horizon": "1it", "batch": 4, "optimizer": "adam"},
        "entry": [{"name": "dense"}],
        "execution": {"workers": 0},
    }
    (folder / "net.toml").write_text(tomli_w.dumps(table))


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["run", "net.toml", *arguments])


def test_without_the_option_the_error_names_the_command_and_nothing_is_asked_for(
    published: Path, tmp_path: Path
) -> None:
    benchmark(tmp_path)
    done = run()
    assert done.exit_code == 2
    assert "`prunebench run net.toml --fetch`" in done.output
    assert Quiet.asked == []
    assert not (tmp_path / "data").exists()


def test_with_it_the_files_come_and_the_leaderboard_follows(published: Path, tmp_path: Path) -> None:
    benchmark(tmp_path)
    done = run("--fetch")
    assert done.exit_code == 0, done.output
    assert done.output.count("fetched: ") == 4
    assert (tmp_path / "leaderboards" / "net" / "README.md").is_file()
    asked = len(Quiet.asked)
    again = run("--fetch")
    assert again.exit_code == 0, again.output
    assert len(Quiet.asked) == asked  # what is there is not asked for


def test_a_wrong_file_is_not_put_in_place(published: Path, tmp_path: Path) -> None:
    benchmark(tmp_path)
    for file in published.iterdir():
        file.write_bytes(file.read_bytes()[::-1])
    done = run("--fetch")
    assert done.exit_code == 2
    assert "not the published" in done.output
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
