"""Networks as ONNX files, and what runs them: needs the packages of the extra "onnx". No torch at import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUT, OUTPUT = "images", "logits"


def why_no_onnx() -> str:
    """Why networks can be neither written nor run here; empty if they can."""
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        return f'the packages of the extra "onnx" are not there ({error}): pip install "prunebench[onnx]"'
    return ""


def write_onnx(model: nn.Module, taken: Tensor, file: Path) -> None:
    """Write a network in evaluation mode, for any number of examples.

    Args:
        taken: a batch of at least two examples, as the network takes them.
    """
    import torch

    torch.onnx.export(
        model,
        (taken,),
        str(file),
        dynamo=True,
        external_data=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )


def run_of(file: Path, threads: int | None = None) -> Callable[[Any], Any]:
    """What runs a file on the CPU: a NumPy batch to NumPy outputs.

    Args:
        threads: of each operation; as many as ONNX Runtime thinks right if None.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {INPUT: batch})[0]
