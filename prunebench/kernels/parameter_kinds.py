"""What each parameter of a network is, and whether its elements can be pruned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from prunebench.api.info import BIAS, NORM
from prunebench.kernels.computed_weights import Computed, computed_weights, uses_its_weight_as_it_is
from prunebench.kernels.identity import canonical_names

WEIGHTS = ("conv", "linear", "recurrent", "bilinear", "attention", "embedding", "other")
"""Kinds of parameters that may be pruned as a kind; "other" are matrices that no layer of a known class owns."""
FURTHER = {
    "bias": BIAS,
    "norm": NORM,
    "vector": "a vector that belongs to no layer of a known class",
    "computed from": "a weight is computed from it and another parameter",
}
"""All further kinds, and what parameters of these are."""

_ROWS = (nn.Embedding, nn.EmbeddingBag)
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_LAYERS: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str, tuple[str, ...]], ...] = (
    (_ConvNd, "conv", ("weight",)),
    (nn.Linear, "linear", ("weight",)),
    ((nn.RNNBase, nn.RNNCellBase), "recurrent", ("weight_",)),
    (nn.Bilinear, "bilinear", ("weight",)),
    (nn.MultiheadAttention, "attention", ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")),
    (_ROWS, "embedding", ("weight",)),
)
"""Classes of layers, the kind of their weights, and how the names of those begin."""


@dataclass(frozen=True)
class Kind:
    """What a parameter is.

    Args:
        kind: one of WEIGHTS or FURTHER.
        refused: why its elements cannot be pruned, if they cannot.
        floor: how many of its elements must stay.
    """

    kind: str
    refused: str | None = None
    floor: int = 0


def parameter_kinds(model: nn.Module) -> dict[str, Kind]:
    """The kind of each floating-point parameter by its first name, in the order of the network.

    A parameter that several layers share has the kind of the first convolution or linear layer among them, if there is
    one.
    """
    names, found = canonical_names(model), dict[str, Kind]()
    computed: dict[int, list[Computed]] = {}
    for one in computed_weights(model):
        computed.setdefault(id(one.layer), []).append(one)
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, kind in _of(prefix, module, computed.get(id(module), ())):
            first = names[name]
            if first not in found or (kind.kind in ("conv", "linear") and found[first].kind not in ("conv", "linear")):
                found[first] = kind
    return {name: found[name] for name, p in model.named_parameters() if name in found and p.is_floating_point()}


def _of(prefix: str, module: nn.Module, computed: Sequence[Computed]) -> Iterator[tuple[str, Kind]]:
    start = f"{prefix}." if prefix else ""
    if isinstance(module, parametrize.ParametrizationList):
        return  # its parameters are told with the layer that they are of
    as_it_is = uses_its_weight_as_it_is(module)
    sources = {name for one in computed for name in (one.parameter, *one.others)}
    for own, parameter in module.named_parameters(recurse=False):
        if start + own in sources:
            continue  # torch's old hooks keep what they compute from in the layer itself; it is told below
        kind = _kind(module, own, parameter.ndim)
        reason = f"{type(module).__name__} changes it before it is used: a weight of 0 is not 0 there"
        yield start + own, Kind(kind, None if as_it_is or kind not in ("conv", "linear") else reason)
    for one in computed:
        kind = _kind(module, one.attribute, 2)
        if one.parameter is not None:
            yield one.parameter, Kind(kind, None, one.floor)
        for other in one.others:
            refused = None
            if one.parameter is None:
                refused = f"{one.how} computes {start}{one.attribute} from it, where zeros do not stay zeros"
            yield other, Kind("computed from" if refused is None else kind, refused)


def _kind(module: nn.Module, name: str, ndim: int) -> str:
    for classes, kind, starts in _LAYERS:
        if isinstance(module, classes):
            return kind if name.startswith(starts) else "bias"
    if isinstance(module, _NORMS):
        return "norm"
    return "other" if ndim > 1 else "vector"


def prunable(kinds: Mapping[str, Kind], *wanted: str) -> dict[str, str]:
    """The parameters of some kinds, with their kinds; none that cannot be pruned."""
    return {name: kind.kind for name, kind in kinds.items() if kind.kind in wanted and kind.refused is None}
