"""A whole training step as one CUDA graph."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from skiplab.errors import SkiplabError


class CapturedStep:
    """Forward and backward pass, clipping and update of a step, captured once and replayed on what later steps draw.

    A small network's step on a GPU waits for its hundreds of launches, which a replay hands over in one. The kernels
    are those of a step by hand, in their order, so losses and weights are bit-equal. The first steps have to be by
    hand: they let libraries choose their algorithms and the optimizer make its state. What the network draws comes
    from the device's global generator, whose seed and offset a replay reads anew.

    Source: Nguyen et al. 2021, Accelerating PyTorch with CUDA Graphs, https://pytorch.org/blog.
    Differs from the source: no rehearsal on a stream of its own; real steps come first.

    Args:
        loss_of: the mean loss of what is drawn for a step.
        optimizer: updates the weights, with its rates on the device (see `DeviceRates`).
        rates: of the optimizer.
        clip: changes the gradients before the update.
    """

    def __init__(
        self,
        loss_of: Callable[..., Tensor],
        optimizer: torch.optim.Optimizer,
        rates: "DeviceRates",
        clip: Callable[[], None],
    ) -> None:
        self.loss_of, self.optimizer, self.rates, self.clip = loss_of, optimizer, rates, clip
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, drawn: Sequence[Tensor | None]) -> Tensor:
        """Do the step; returns its loss, in a tensor that the next step overwrites.

        Raises:
            SkiplabError: where the network waits for the device or draws on the CPU, which a replay can't.
        """
        with self.rates.on_device():
            if self._graph is None:
                self._inputs = [None if part is None else part.clone() for part in drawn]
                self._graph = self._capture()
            else:
                for own, part in zip(self._inputs, drawn, strict=True):
                    if own is not None:
                        own.copy_(part)
            self._graph.replay()
        return self._loss

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        drawn_before = torch.default_generator.get_state()
        self.optimizer.zero_grad(set_to_none=True)  # gradients then lie in the graph's own memory
        try:
            with torch.cuda.graph(graph):
                loss = self.loss_of(*self._inputs)
                with torch.autocast("cuda", enabled=False):
                    loss.backward()
                    self.clip()
                    self.optimizer.step()
                self._loss = loss.detach()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise SkiplabError(
                f"this network's step can't be captured as a CUDA graph ({reason}); add run.cuda_graph=false"
            ) from error
        if not torch.equal(drawn_before, torch.default_generator.get_state()):
            raise SkiplabError(
                "this network draws random numbers on the CPU in training, which a captured step would repeat; add "
                "run.cuda_graph=false"
            )
        return graph


class DeviceRates:
    """An optimizer's learning rates as tensors on its device while it steps, and as numbers otherwise.

    A captured step reads the rate of its day from the tensor; schedules and checkpoints see numbers.

    Args:
        optimizer: one with fused kernels, such as Adam, AdamW or SGD, which read rates from the device.
        device: where the weights are.
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
    """Let an optimizer on a GPU update all weights in one kernel that can be captured; False where it has none."""
    groups = optimizer.param_groups
    if not all("fused" in group for group in groups):
        return False
    for group in groups:
        group["fused"] = True
        if "capturable" in group:
            group["capturable"] = True
    return True
