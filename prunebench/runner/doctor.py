"""What of a machine works for the suite, what is missing, and how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

from prunebench.api.errors import PrunebenchError
from prunebench.api.untrusted_text import describe, printable
from prunebench.api.version import VERSION
from prunebench.components.catalogue import Catalogue
from prunebench.runner.preparing import data_root, default_store

State = Literal["ok", "optional", "missing"]

SPARE = 5 * 2**30
"""Bytes of free disk below which runs of any size may end for lack of it."""

EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "onnx": (("onnx", "onnxruntime", "onnxscript"), "export to ONNX"),
    "tensorboard": (("tensorboard",), "event files of TensorBoard"),
    "wandb": (("wandb",), "leaderboards in Weights & Biases"),
    "notebook": (("pandas", "ipywidgets"), "data frames and progress in notebooks"),
}
"""Extras by name: the modules that each brings, and what they are for."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        state: it works; it is not there and only what `text` says needs it; or runs fail without it.
        mend: what to do; empty where nothing need be done.
    """

    subject: str
    state: State
    text: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"subject": self.subject, "state": self.state, "text": self.text, "mend": self.mend}


def examine(store: Path | str | None = None) -> Iterator[Finding]:
    """Look at this machine, one finding after the other; nothing that lasts is written.

    Args:
        store: where artifacts are to be kept; the default of `prunebench run` if None.
    """
    for look in (_python, _torch, _plugins, _data, lambda: _store(store or default_store()), _extras, _wandb):
        yield from _safely(look)


def _safely(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds; that it failed, if it did: the others go on."""
    try:
        yield from look()
    except Exception as error:
        name = getattr(look, "__name__", "look").strip("_<>")
        yield Finding(name, "missing", describe(error), "this should not happen: please report it")


def _python() -> Iterator[Finding]:
    yield Finding("prunebench", "ok", f"version {VERSION}")
    yield Finding("Python", "ok", f"{sys.version.split()[0]}, {sys.executable}")


def _torch() -> Iterator[Finding]:
    install = 'uv pip install "torch>=2.8" torchvision timm'
    for name in ("torch", "torchvision", "timm"):
        try:
            module = __import__(name)
        except Exception as error:  # a broken installation fails in any way, such as with an error of the linker
            yield Finding(name, "missing", describe(error), install)
        else:
            yield Finding(name, "ok", str(getattr(module, "__version__", "")))
    if find_spec("torch") is None:
        return
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("CPU", "ok", f"{cores} {'core' if cores == 1 else 'cores'}: that many workers by default")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", ", ".join(names))
    elif torch.version.cuda is None and not torch.backends.mps.is_available():
        yield Finding("GPU", "optional", "this torch is built for CPU alone")
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple's, as the device mps")
    else:
        mend = "if there is one, install NVIDIA's driver (`nvidia-smi` must work)"
        yield Finding("GPU", "optional", f"torch (CUDA {torch.version.cuda}) sees none: runs use the CPU", mend)


def _plugins() -> Iterator[Finding]:
    catalogue = Catalogue.load()
    origins = {provider.distribution.split()[0] for provider in catalogue.providers.values()}
    count = len(catalogue.providers)
    yield Finding("plugins", "ok", f"{count} components of {', '.join(sorted(origins))}")
    for name, error in catalogue.broken.items():
        yield Finding("plugins", "missing", printable(f"{name}: {error}"), "update or uninstall that package")


def _data() -> Iterator[Finding]:
    from prunebench.runner.data_sets import MISSING, READY, SHIPPED, UNUSABLE, data_set, names_of

    root, catalogue = data_root(), Catalogue.load()
    given = os.environ.get("PRUNEBENCH_DATA")
    where = "$PRUNEBENCH_DATA" if given else "the user's cache; $PRUNEBENCH_DATA names another"
    yield Finding("data root", "ok" if root.is_dir() else "optional", f"{root} ({where})")
    states = [data_set(name, catalogue, root) for name in names_of(catalogue)]
    ready = [one.name for one in states if one.state in (READY, SHIPPED)]
    absent = [one.name for one in states if one.state.startswith(MISSING)]
    yield Finding("data sets", "ok" if ready else "optional", f"ready: {', '.join(ready) or 'none'}")
    if absent:
        yield Finding("data sets", "optional", f"not there: {', '.join(absent)}", "prunebench data fetch NAME")
    for one in states:
        if one.state == UNUSABLE:
            yield Finding("data sets", "optional", one.text)


def _store(place: Path | str) -> Iterator[Finding]:
    if isinstance(place, str):
        from prunebench.store.places import backend_of

        try:
            backend_of(place)
        except PrunebenchError as error:
            yield Finding("store", "missing", printable(str(error)))
        else:
            yield Finding("store", "ok", f"{place}; `prunebench store info {place}` looks into it")
        return
    path = place
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        mend = "name another with --store or $PRUNEBENCH_STORE"
        yield Finding("store", "missing", f"{path}: it cannot be written ({error.strerror})", mend)
        return
    yield Finding("store", "ok", f"{path}{'' if path.exists() else ' (made by the first run)'}")
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:.0f} GiB are free where the store is"
    if free < SPARE:
        yield Finding("disk", "missing", text, "free some, or name a store elsewhere with --store")
    else:
        yield Finding("disk", "ok", text)


def _extras() -> Iterator[Finding]:
    for name, (modules, purpose) in EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        if absent:
            mend = f'pip install "prunebench[{name}]"'
            yield Finding(name, "optional", f"for {purpose}: {', '.join(absent)} not installed", mend)
        else:
            yield Finding(name, "ok", f"{purpose}: {', '.join(f'{m} {_version(m)}' for m in modules)}")


def _wandb() -> Iterator[Finding]:
    if find_spec("wandb") is None:
        return
    if os.environ.get("WANDB_API_KEY") or _has_login():
        yield Finding("W&B login", "ok", "a key is there: `--wandb online` publishes")
    else:
        yield Finding("W&B login", "optional", "none: `--wandb offline` works without", "wandb login")


def _has_login() -> bool:
    """Whether the file that `wandb login` writes names the server. It is looked at, not read out."""
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return "wandb" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _version(module: str) -> str:
    try:
        return version(module)
    except PackageNotFoundError:
        raise PrunebenchError(f"{module} can be imported, and no distribution has it") from None
