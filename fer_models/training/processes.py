"""Training in several processes that torchrun started: the same run as in one, but for the rounding of sums.

Every process draws the augmentation of the whole batch, so all draws are those of one process; then each takes its
share of the faces. Batch norms see the whole batch through sums over the processes. PyTorch's own SyncBatchNorm does
that on GPUs alone.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def process_count() -> int:
    """How many processes train together; 1 outside torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_rank() -> int:
    """The number of this one; 0 outside torchrun."""
    return dist.get_rank() if dist.is_initialized() else 0


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of every process's values, on all of them; a new tensor. Waits for all."""
    total = values.clone()
    if process_count() > 1:
        dist.all_reduce(total)
    return total


class _Sum(torch.autograd.Function):
    """`sum_over_processes`, through which gradients flow back to all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return sum_over_processes(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)


class BatchNormOverProcesses(nn.BatchNorm2d):
    """Batch normalisation (Ioffe and Szegedy, ICML 2015) with the statistics of the faces of all processes."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) in and out; N may differ between processes. In evaluation as its base class."""
        if not self.training or process_count() == 1:
            return super().forward(inputs)
        values = inputs.float()  # sums of many; under autocast, too
        if self.running_mean is not None:  # near the mean, squares lose no digits; alike in all processes
            values = values - self.running_mean[:, None, None]
        axes = (0, 2, 3)
        counted = torch.full((1,), values[:, 0].numel(), dtype=values.dtype, device=values.device)
        sums = _Sum.apply(torch.cat([values.sum(axes), values.square().sum(axes), counted]))
        count = sums[-1].detach()
        mean, square = (sums[:-1] / count).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        self._update(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        outputs: Tensor = values * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]
        return outputs.to(inputs.dtype)

    @torch.no_grad()
    def _update(self, offset: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.add_(offset * share)  # of the batch's mean from the running one
        self.running_var.lerp_(variance, share)


def share_batch_norms(network: nn.Module) -> None:
    """Let the batch norms of a network see the whole batch, in place; its parameters keep their names and values."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNormOverProcesses  # same attributes, another forward
