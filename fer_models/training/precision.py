"""The number format that a run computes in: what its recipe asks for, if this machine is fast in it."""

from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


def usable_precision(wanted: Precision, device: torch.device) -> Precision:
    """bfloat16 only where the machine has instructions for it.

    Elsewhere it is emulated: on a CPU with AVX2 but not AVX-512 a step of ResNet-50 at 64 px takes twenty times as long
    as in float32.

    Args:
        wanted: the recipe's.
        device: where to train.
    """
    return "fp32" if wanted == "fp32" or not _has_bf16(device) else "bf16"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cpu":
        # The only word on it that PyTorch gives; its own tests and compiler ask the same.
        mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return bool(mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True
