"""A whole training step as one CUDA graph."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.training_batch import TrainingBatch


class CapturedStep:
    """Forward and backward pass, clipping and update of a step, captured once and replayed with later steps' batches.

    On a GPU, a step of a small network waits for hundreds of kernel launches; a replay launches them all at once. The
    kernels and their order are those of an eager step, so losses and weights are bit-equal. The first steps must be
    eager, so that libraries choose their algorithms and the optimizer creates its state. Random numbers inside the
    network come from the device's global generator, whose seed and offset each replay reads anew.

    Source: Nguyen et al. 2021, Accelerating PyTorch with CUDA Graphs, https://pytorch.org/blog.
    Differs from the source: the first real steps replace the warm-up on a side stream.

    Args:
        mean_loss: the mean loss of a batch.
        optimizer: updates the weights, with its learning rates on the device.
        rates: puts the optimizer's learning rates on the device.
        clip: clips the gradients before the update.
    """

    def __init__(
        self,
        mean_loss: Callable[[TrainingBatch], Tensor],
        optimizer: torch.optim.Optimizer,
        rates: "DeviceRates",
        clip: Callable[[], None],
    ) -> None:
        self.mean_loss, self.optimizer, self.rates, self.clip = mean_loss, optimizer, rates, clip
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: TrainingBatch) -> Tensor:
        """Do the step; returns its loss in a tensor that the next step overwrites.

        Raises:
            SkiplabError: if the network waits for the device or draws on the CPU, which can't be replayed.
        """
        with self.rates.on_device():
            if self._graph is None:
                self._input = batch.map(torch.clone)
                self._graph = self._capture()
            else:
                for target, source in zip(self._input.tensors(), batch.tensors(), strict=True):
                    target.copy_(source)
            self._graph.replay()
        return self._loss

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        drawn_before = torch.default_generator.get_state()
        self.optimizer.zero_grad(set_to_none=True)  # gradients then lie in the graph's own memory
        try:
            with torch.cuda.graph(graph):
                loss = self.mean_loss(self._input)
                with torch.autocast("cuda", enabled=False):
                    loss.backward()
                    self.clip()
                    self.optimizer.step()
                self._loss = loss.detach()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise SkiplabError(
                f"this network's training step can't be captured as a CUDA graph ({reason}); add run.cuda_graph=false"
            ) from error
        if not torch.equal(drawn_before, torch.default_generator.get_state()):
            raise SkiplabError(
                "this network draws random numbers on the CPU, and a captured training step would repeat them; add "
                "run.cuda_graph=false"
            )
        return graph


class DeviceRates:
    """An optimizer's learning rates as tensors on its device while it steps, and as numbers otherwise.

    A captured step reads the current rate from the tensor; schedulers and checkpoints see numbers.

    Args:
        optimizer: an optimizer with fused kernels, such as Adam, AdamW or SGD, which read rates from the device.
        device: the device of the weights.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        self.optimizer = optimizer
        self._tensors = [torch.zeros((), device=device) for _ in optimizer.param_groups]

    @contextmanager
    def on_device(self) -> Iterator[None]:
        groups = self.optimizer.param_groups
        numbers = [group["lr"] for group in groups]
        for group, tensor, number in zip(groups, self._tensors, numbers, strict=True):
            group["lr"] = tensor.fill_(number)
        try:
            yield
        finally:
            for group, number in zip(groups, numbers, strict=True):
                group["lr"] = number


def fuse(optimizer: torch.optim.Optimizer) -> bool:
    """Let an optimizer update all weights in one kernel that can be captured; False if it has no such kernel."""
    groups = optimizer.param_groups
    if not all("fused" in group for group in groups):
        return False
    for group in groups:
        group["fused"] = True
        if "capturable" in group:
            group["capturable"] = True
    return True
