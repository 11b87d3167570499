"""What timm publishes with a network: where its weights are, its classes, and how its images were prepared."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from prunebench import PlanError, PrunebenchError
from prunebench.api.errors import nearest
from prunebench.api.pretrained import Interpolation, Preprocessing, Pretrained

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "weights/timm"
FILES = ("model.safetensors", "pytorch_model.bin")
"""What a network's weights are called on the hub, the preferred first."""


def published(name: str, revision: str | None) -> Pretrained:
    """What was published under a name of timm's, with a tag or with the network's first one.

    Raises:
        PlanError: there is no such tag, or no weights; names what there is.
    """
    import timm
    from timm.data.config import resolve_data_config
    from timm.data.imagenet_info import infer_imagenet_subset
    from timm.models import get_pretrained_cfg

    base, _, tag = name.partition(".")
    known = sorted(timm.list_models(f"{base}.*", pretrained=True))
    try:
        stated = get_pretrained_cfg(name)
    except RuntimeError:
        raise PlanError(f'timm: no weights "{name}" were published.{nearest(name, known)}') from None
    config: dict[str, Any] = {}
    if stated is not None:
        config = stated.to_dict(remove_source=False, remove_null=True)  # type: ignore[no-untyped-call]
    repository, url = config.get("hf_hub_id"), config.get("url")
    if not repository and not url:
        raise PlanError(f'timm: no weights were published with "{name}".' + (nearest(name, known) if known else ""))
    full = name if tag or not config.get("tag") else f"{base}.{config['tag']}"
    if revision is not None and not repository:
        raise PlanError(f'timm: "{full}" comes from {url}, which has no revisions')
    data: dict[str, Any] = resolve_data_config(pretrained_cfg=config)  # type: ignore[no-untyped-call]
    if data["interpolation"] not in get_args(Interpolation):
        raise PlanError(f'timm: "{full}" wants images resized by "{data["interpolation"]}", which no data set does')
    outputs = int(config["num_classes"])
    subset = infer_imagenet_subset(config)
    names = config.get("label_names") or (_imagenet(subset) if subset else ())
    size = int(data["input_size"][-1])
    file = f"{FOLDER}/{full}{f'@{revision}' if revision else ''}.safetensors"
    return Pretrained(
        name=full,
        file=file,
        where=f"model.safetensors of {repository} at huggingface.co" if repository else f"the tensors of {url}",
        outputs=outputs,
        classes=tuple(names) if len(names) == outputs else (),
        preprocessing=Preprocessing(
            size,
            floor(size / float(data["crop_pct"])),
            data["crop_mode"],
            tuple(map(float, data["mean"])),
            tuple(map(float, data["std"])),
            cast(Interpolation, data["interpolation"]),
        ),
        fetch=_fetch(full, config, revision, file),
    )


def _imagenet(subset: str) -> list[str]:
    from timm.data.imagenet_info import ImageNetInfo

    names: list[str] = ImageNetInfo(subset).label_names()  # type: ignore[no-untyped-call]
    return names


def _fetch(name: str, config: dict[str, Any], revision: str | None, file: str) -> Callable[[Path], str]:
    def fetch(root: Path) -> str:
        target = root / file
        try:
            downloaded, origin = _from_hub(config, revision) if config.get("hf_hub_id") else _from_url(config["url"])
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
                whole = Path(folder) / "model.safetensors"
                _as_the_network_has_it(name, downloaded, whole, bool(config.get("custom_load")))
                whole.chmod(0o644)
                os.replace(whole, target)
        except Exception as error:  # of the network, the hub's client, the disk, what writes tensors
            why = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise PrunebenchError(f"{name}: its weights could not be downloaded ({why})") from error
        return origin

    return fetch


def _from_hub(config: dict[str, Any], revision: str | None) -> tuple[Path, str]:
    """The file in the hub's cache, by timm's own download, and the repository with its commit."""
    from huggingface_hub.errors import EntryNotFoundError
    from timm.models._hub import download_from_hf

    repository = str(config["hf_hub_id"])
    pinned = f"{repository.partition('@')[0]}@{revision}" if revision is not None else repository
    named = config.get("hf_hub_filename")
    names = [named] if named else list(FILES)
    for name in names:
        try:
            path = Path(download_from_hf(pinned, name))
        except EntryNotFoundError:
            if name == names[-1]:
                raise
            continue
        # .../snapshots/COMMIT/model.safetensors
        return path, f"{repository.partition('@')[0]}@{path.parent.name}/{name}"
    raise AssertionError


def _from_url(url: str) -> tuple[Path, str]:
    from timm.models._hub import download_cached_file

    return Path(download_cached_file(url)), url


def _as_the_network_has_it(name: str, source: Path, target: Path, custom: bool) -> None:
    """The weights under the names of timm's network: as they are, or as timm's own loader brings them there."""
    import timm
    import torch
    from safetensors.torch import save_file

    from prunebench.kernels import weight_files

    if not custom:
        if weight_files.is_pickle(source):
            tensors = weight_files.saved(source).tensors
            save_file({key: value.contiguous().clone() for key, value in tensors.items()}, target)
        else:
            shutil.copyfile(source, target)
        with torch.device("meta"):
            wanted = {key: tuple(value.shape) for key, value in timm.create_model(name).state_dict().items()}
        if {key: tuple(shape) for key, shape in weight_files.shapes_of(target).items()} == wanted:
            return
        plain = target.with_name("published.safetensors")
        os.replace(target, plain)
    else:
        plain = source  # of a format of its own, such as NumPy's, which the network itself reads
    model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(plain)})
    state: dict[str, Tensor] = model.state_dict()
    save_file({key: value.contiguous().clone() for key, value in state.items()}, target)
