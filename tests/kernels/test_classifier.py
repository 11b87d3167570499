"""The classifier is what the network calls so, or the last product with weights before its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from prunebench.kernels.classifier import classifier_of

IMAGE, CLASSES = torch.zeros(1, 3, 8, 8), 5


class ConvolutionalHead(nn.Module):
    """Linear layers in the middle, a 1 x 1 convolution as classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.cls = nn.Conv2d(3, 6, 3), nn.Conv2d(6, CLASSES, 1)
        self.se1, self.se2 = nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        gate = torch.sigmoid(self.se2(self.se1(x.mean((2, 3))).relu()))
        out: Tensor = self.cls(x * gate[:, :, None, None]).mean((2, 3))
        return out


class HeadFirst(nn.Module):
    """Declared before what feeds it."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body, self.neck = nn.Linear(6, CLASSES), nn.Linear(192, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.neck(self.body(x.flatten(1)).relu()).relu())
        return out


class AsManyAsClasses(nn.Module):
    """Hidden layers have as many outputs as there are classes."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(CLASSES, CLASSES), nn.Linear(192, CLASSES)
        self.late = nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.late(self.first(x.flatten(1)).relu()).relu()) / 2
        return out.log_softmax(1)


class Bare(nn.Module):
    """The classifier is a parameter of the network itself."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed
        self.body = nn.Linear(192, 6)
        self.w = nn.Parameter(torch.zeros((6, CLASSES) if transposed else (CLASSES, 6)))
        self.b, self.scale = nn.Parameter(torch.zeros(CLASSES)), nn.Parameter(torch.ones(1, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x.flatten(1)).relu()
        out = x @ self.w + self.b if self.transposed else functional.linear(x, self.w, self.b)
        return out * self.scale


class Auxiliary(nn.Module):
    """A second head while training, and a tuple as output."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.deep, self.tail = nn.Linear(192, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.aux = nn.Linear(6, CLASSES)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.norm(self.body(x.flatten(1)))
        out: Tensor = self.tail(self.deep(x).relu())
        return (out, self.aux(x)) if self.training else out


class Tokens(nn.Module):
    """Takes numbers of tokens, which have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head, self.body = nn.Embedding(9, 6), nn.Linear(6, CLASSES), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(functional.pad(self.body(self.table(x)).mean(1), (0, 1)))
        return out


class LooksAtValues(HeadFirst):
    """Cannot be run on the meta device."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if float(x.sum()) >= 0 else -x)


class CannotRun(HeadFirst):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError


class Says(HeadFirst):
    """Names its classifier, in one way or another."""

    def __init__(self, answer: object, config: object = None) -> None:
        super().__init__()
        self.answer, self.pretrained_cfg = answer, config

    def get_classifier(self) -> object:
        if self.answer is None:
            raise NotImplementedError
        return self.get_submodule(self.answer) if isinstance(self.answer, str) else self.answer


def normed() -> nn.Module:
    model = HeadFirst()
    parametrizations.weight_norm(model.head)
    return model


def tied() -> nn.Module:
    model = AsManyAsClasses()
    model.late.weight = model.last.weight
    return model


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "a convolution": (ConvolutionalHead, {"cls.weight", "cls.bias"}),
    "declared first": (HeadFirst, {"head.weight", "head.bias"}),
    "hidden layers as wide": (AsManyAsClasses, {"last.weight", "last.bias"}),
    "a bare matrix": (lambda: Bare(False), {"w", "b"}),
    "a bare matrix, transposed": (lambda: Bare(True), {"w"}),
    "an auxiliary head": (Auxiliary, {"tail.weight", "tail.bias", "aux.weight", "aux.bias"}),
    "values are looked at": (LooksAtValues, {"head.weight", "head.bias"}),
    "it cannot run": (CannotRun, {"head.weight", "head.bias"}),
    "a computed weight": (
        normed,
        {"head.bias", *(f"head.parametrizations.weight.original{index}" for index in range(2))},
    ),
    "a tied weight": (tied, {"last.weight", "last.bias"}),
    "no weights": (nn.Flatten, set()),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_the_last_product_before_the_outputs_is_the_classifier(kind: str, device: str) -> None:
    build, names = NETWORKS[kind]
    with torch.device(device):
        model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = model.training
    assert classifier_of(model, IMAGE, CLASSES).names == names
    assert model.training == training
    if device == "cpu":
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("model", "names", "how"),
    [
        (lambda: Says("neck"), {"neck.weight", "neck.bias"}, "get_classifier()"),
        (lambda: Says("neck", {"classifier": "body"}), {"body.weight", "body.bias"}, "timm's pretrained_cfg"),
        (lambda: Says("neck", {"classifier": "gone"}), {"neck.weight", "neck.bias"}, "get_classifier()"),
        (lambda: Says("neck", {"classifier": 3}), {"neck.weight", "neck.bias"}, "get_classifier()"),
        (lambda: Says(nn.Identity()), {"head.weight", "head.bias"}, "its outputs are the network's"),
        (lambda: Says(7), {"head.weight", "head.bias"}, "its outputs are the network's"),
        (lambda: Says(None), {"head.weight", "head.bias"}, "its outputs are the network's"),
    ],
)
def test_a_network_that_says_so_is_believed(model: Callable[[], nn.Module], names: set[str], how: str) -> None:
    found = classifier_of(model(), IMAGE, CLASSES)
    assert (found.names, found.how) == (names, how)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_network_of_tokens_is_followed_too(device: str) -> None:
    with torch.device(device):
        model = Tokens()
    found = classifier_of(model, torch.zeros(1, 7, dtype=torch.int64), CLASSES)
    assert (found.names, found.how) == ({"head.weight", "head.bias"}, "its outputs are the network's")


def test_without_an_input_the_widths_decide() -> None:
    assert classifier_of(ConvolutionalHead(), None, CLASSES).names == {"cls.weight", "cls.bias"}
    assert classifier_of(HeadFirst(), None, CLASSES).names == {"head.weight", "head.bias"}
    assert classifier_of(HeadFirst()).names == {"neck.weight", "neck.bias"}


@pytest.mark.parametrize(
    "name", ["resnet18", "resnetv2_50", "vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "squeezenet1_0"]
)
def test_what_timm_states_is_what_is_found_by_following(name: str) -> None:
    try:
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=10)
    except RuntimeError:
        pytest.skip(f"this timm has no {name}")
    stated = classifier_of(model, torch.zeros(1, 3, 224, 224), 10)
    assert stated.how in ("timm's pretrained_cfg", "get_classifier()")
    model.pretrained_cfg, model.get_classifier = {}, None
    followed = classifier_of(model, torch.zeros(1, 3, 224, 224), 10)
    assert (followed.names, followed.how) == (stated.names, "its outputs are the network's")
