"""A task that is not about images: its contracts, and a benchmark of it through the public command."""

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from prunebench_example.sentences import NOUNS, VERBS, WORDS, tokens
from torch import Tensor, nn
from torch.nn import functional

from prunebench.api.data import Data, in_order
from prunebench.api.info import DataInfo
from prunebench.components.managers import run_manager
from prunebench.kernels.evaluation import evaluate
from prunebench.kernels.macs import by_weight
from prunebench.testing import (
    DataContract,
    InitialiseContract,
    ModelContract,
    OptimizerContract,
    ScoreContract,
    TaskContract,
    UnitsContract,
    task_of,
)
from prunebench.testing.contract import installed

HERE = Path(__file__).parents[1]
PRUNEBENCH = Path(sys.executable).with_name("prunebench")
NEXT_TOKEN = {"use": "next-token"}


def sentences() -> Data:
    """The data, small."""
    manager = run_manager([installed().use({"use": "sentences", "length": 9, "train": 64}, slot="data")])
    # A law builds the network on the meta device, and data always has values.
    with torch.device("cpu"):
        data: Data = manager.hook.prunebench_data(root=Path(), rng=None)
    return data


def network(info: DataInfo) -> nn.Module:
    """The network for it, always the same."""
    manager = run_manager([installed().use({"use": "causal-net", "width": 8, "blocks": 1}, slot="model")])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = manager.hook.prunebench_model(data_info=info)
    return model


class OfTokens:
    """What contracts of other components try their laws on, where these are to serve this task."""

    of_task = NEXT_TOKEN

    def data(self) -> Data:
        return sentences()

    def model(self) -> nn.Module:
        return network(sentences().info)


class TestNextToken(OfTokens, TaskContract):
    component = NEXT_TOKEN


class TestSentences(DataContract):
    component = {"use": "sentences"}
    of_task = NEXT_TOKEN


class TestCausalNet(ModelContract):
    component = {"use": "causal-net"}
    of_task = NEXT_TOKEN
    shape = (9,)
    classes = len(WORDS)

    def output_shape(self) -> tuple[int, ...]:
        return (8, len(WORDS))


class TestWeightsOfTokens(OfTokens, UnitsContract):
    component = {"use": "weights"}


class TestMagnitudeOfTokens(OfTokens, ScoreContract):
    component = {"use": "magnitude"}


class TestSnipOfTokens(OfTokens, ScoreContract):
    component = {"use": "snip"}


class TestAdamOfTokens(OfTokens, OptimizerContract):
    component = {"use": "adam"}


class TestNormalOfTokens(OfTokens, InitialiseContract):
    component = {"use": "xavier_normal"}


# The task.


def test_the_target_of_a_token_is_the_next_one() -> None:
    rows = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    inputs, targets = task_of(NEXT_TOKEN).batch(rows, rows.new_zeros(2, 0))
    assert inputs.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert targets.tolist() == [[2, 3, 4], [6, 7, 8]]


@torch.no_grad()
def test_perplexity_is_the_exponential_of_the_mean_over_all_tokens() -> None:
    data = sentences()
    model = network(data.info).eval()
    values, correct = evaluate(model, task_of(NEXT_TOKEN), data["test"].batches(in_order(500, 64)))
    (rows,) = [inputs for inputs, _ in data["test"].batches(in_order(500, 500))]
    log = functional.log_softmax(model(rows[:, :-1]).double(), -1)
    by_hand = -log.gather(2, rows[:, 1:, None]).mean()
    assert correct is None
    assert values["loss"] == pytest.approx(float(by_hand), rel=1e-6)
    assert values["perplexity"] == pytest.approx(math.exp(by_hand), rel=1e-6)


def test_even_odds_hesitate_between_all_words() -> None:
    data = sentences()
    values, _ = evaluate(
        lambda inputs: torch.zeros(*inputs.shape, len(WORDS)),
        task_of(NEXT_TOKEN),
        data["valid"].batches(in_order(500, 500)),
    )
    assert values["perplexity"] == pytest.approx(len(WORDS), rel=1e-6)


# Its data and its network.


def test_a_verb_agrees_with_its_subject_whatever_stands_between() -> None:
    numbers = {word: number for number in (0, 1) for word in NOUNS[number]}
    verbs = {word: number for number in (0, 1) for word in VERBS[number]}
    clauses = 0
    for row in tokens("train", 100, 40):
        whole = " ".join(WORDS[token] for token in row).split(" .")[:-1]  # the last one may be cut short
        for sentence in whole:
            words = sentence.split()
            subject = next(numbers[word] for word in words if word in numbers)
            assert [verbs[word] for word in words if word in verbs] == [subject] * (1 + ("that" in words))
            clauses += "that" in words
    assert clauses > 30


def test_a_place_sees_none_of_those_after_it() -> None:
    data = sentences()
    model = network(data.info).eval()
    rows = torch.tensor(tokens("valid", 4, 8))
    changed = rows.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % len(WORDS)
    with torch.no_grad():
        before, after = model(rows), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_its_multiplications_are_counted_by_layer_and_place() -> None:
    data = sentences()
    example: Tensor = task_of(NEXT_TOKEN).example(data.info)
    counted = by_weight(network(data.info), example)
    assert counted["blocks.0.fc1.weight",] == 8 * 8 * 32
    assert counted["head.weight",] == 8 * 8 * len(WORDS)


def test_images_are_refused(tmp_path: Path) -> None:
    text = (HERE / "next-token.toml").read_text().replace('"sentences"', '"mnist5k"')
    (tmp_path / "images.toml").write_text(text)
    told = subprocess.run([PRUNEBENCH, "check", "images.toml"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode != 0
    assert "mnist5k has no rows of tokens, but inputs of shape (1, 28, 28)" in told.stderr


def test_label_smoothing_that_the_task_does_not_have_is_refused(tmp_path: Path) -> None:
    text = (HERE / "next-token.toml").read_text().replace("batch     = 32", "batch = 32\nlabel_smoothing = 0.1")
    (tmp_path / "smooth.toml").write_text(text)
    told = subprocess.run([PRUNEBENCH, "check", "smooth.toml"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode != 0
    assert "label_smoothing: task next-token (prunebench-example 0.1.0) has none; leave it out" in told.stderr


# All of it together.


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The leaderboard of the example's file under its smoke profile."""
    folder = tmp_path_factory.mktemp("next-token")
    command = [PRUNEBENCH, "run", HERE / "next-token.toml", "--profile", "smoke", "--store", "store", "--out", "out"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "out"


def rows_of(board: Path, **fields: Any) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (board / "results.jsonl").read_text().splitlines()]
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def test_perplexity_and_loss_are_rows_and_go_together(board: Path) -> None:
    assert {row["metric"] for row in rows_of(board)} == {
        "perplexity", "loss", "early_stop_iteration", "early_stop_perplexity",
    }  # fmt: skip
    assert {row["outcome"] for row in rows_of(board)} == {"ok"}
    perplexities = rows_of(board, metric="perplexity", split="test")
    losses = rows_of(board, metric="loss", split="test")
    assert {row["unit"] for row in losses} == {"nats"}
    assert len(perplexities) == len(losses) == 15
    for one, other in zip(perplexities, losses, strict=True):
        assert one["value"] == pytest.approx(math.exp(other["value"]), rel=1e-9)


def test_the_folder_says_that_lower_is_better(board: Path) -> None:
    metrics = json.loads((board / "provenance.json").read_text())["metrics"]
    assert {name: info["higher"] for name, info in metrics.items()} == {
        "perplexity": False,
        "loss": False,
        "early_stop_iteration": False,
        "early_stop_perplexity": False,
    }


def test_the_network_learned_and_the_lower_perplexity_ranks_first(board: Path) -> None:
    means = {
        entry: fmean(row["value"] for row in rows_of(board, entry=entry, metric="perplexity", split="test"))
        for entry in ("magnitude", "random")
    }
    assert means["magnitude"] < means["random"] < len(WORDS) / 2
    lines = (board / "README.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("| ")]
    assert [row for row in table if row[1] in means][:2] == [["1", "magnitude"], ["2", "random"]]
    assert any("lowest first" in line for line in lines)


def test_no_example_is_said_to_be_right(board: Path) -> None:
    details = [json.loads(line) for line in (board / "details.jsonl").read_text().splitlines()]
    assert {line["hits"] for line in details if line["kind"] == "evaluation"} == {None}
