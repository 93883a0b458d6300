"""The gradient at a network's input along paths that pass through chosen branches."""

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.blocks.connection import Connection
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.layers import joins
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator

Way = Literal["branch", "shortcut", "neither"]


class PathGradients:
    """Backward passes in which each join passes the gradient on by its branch alone, or by its shortcut alone.

    The memory after a join is a function of the memory before it and of the update, so its gradient is a sum of two
    parts. Each backward pass keeps one of them at every join; the forward pass is unchanged.

    Args:
        trained: the network and what it was trained on.
        eval_batch: the number of validation images and, for denoisers, of noise levels.

    Raises:
        UnmeasurableError: if the network has no joins, or if the gradient can reach the input around one of them.
    """

    def __init__(self, trained: Trained[Objective], eval_batch: EvalBatch) -> None:
        self._trained, self._eval_batch = trained, eval_batch
        self._connections = [join.module.connection for join in joins(trained.model)]
        self.num_joins = len(self._connections)
        if not self.num_joins:
            raise UnmeasurableError(
                "the network has no joins of a stream and a branch, so that its paths have no length"
            )
        for number in range(self.num_joins):
            ways: list[Way | None] = [None] * self.num_joins
            ways[number] = "neither"
            if self._norm(ways, num_images=1) > 0:
                raise UnmeasurableError(
                    f"the gradient also reaches the input around join {number + 1} of {self.num_joins}, as by a long "
                    "skip, so that paths have no definite length; networks with long_skip=none can be measured"
                )

    def norm(self, branches: Collection[int]) -> float:
        """The norm of the loss's gradient at an input, mean over inputs, through exactly these branches."""
        return self._norm(["branch" if index in branches else "shortcut" for index in range(self.num_joins)])

    def _norm(self, ways: Sequence[Way | None], num_images: int | None = None) -> float:
        with _passing(self._connections, ways):
            gradients = list(self._gradients(num_images))
        return float(torch.cat(gradients).flatten(1).double().norm(dim=1).mean())

    def _gradients(self, num_images: int | None) -> Iterator[Float[Tensor, "image channel *positions"]]:
        objective, model, split = self._trained.objective, self._trained.model, self._trained.data.val
        if not isinstance(objective, Denoising):
            images, labels = split.first(num_images or self._eval_batch.num_images)
            x = images.clone().requires_grad_()
            loss = objective.loss(model, x, labels, keyed_generator(0, "probe/loss", device=x.device))
            yield _gradient(loss.sum(), x)
            return
        weights = self._eval_batch.weights(objective).tolist()
        for weight, (*_, noised) in zip(weights, self._eval_batch.noised(objective, split, "val"), strict=True):
            x_t, time, labels, target = (part[:num_images] for part in noised)
            x = x_t.clone().requires_grad_()
            errors = objective.errors(objective.predict(model, x, time, labels), target)
            yield _gradient(weight * errors.sum(), x)


def paths_of_length(num_joins: int, length: int, most: int) -> list[tuple[int, ...]]:
    """Sets of `length` of the joins: all of them if there are at most `most`, else that many random ones."""
    if math.comb(num_joins, length) <= most:
        return list(itertools.combinations(range(num_joins), length))
    generator = keyed_generator(0, "effective_depth/paths", length)
    return [tuple(torch.randperm(num_joins, generator=generator)[:length].tolist()) for _ in range(most)]


def _gradient(loss: Tensor, x: Tensor) -> Tensor:
    """The gradient at x; 0 if the loss doesn't depend on it."""
    if not loss.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(loss, x, allow_unused=True)
    return torch.zeros_like(x) if found is None else found


@contextmanager
def _passing(connections: Sequence[Connection], ways: Sequence[Way | None]) -> Iterator[None]:
    """Let each connection's gradient take its way only; None leaves a connection as it is."""
    try:
        for connection, way in zip(connections, ways, strict=True):
            if way is not None:
                _restrict(connection, way)
        yield
    finally:
        for connection in connections:
            vars(connection).pop("write", None)


def _restrict(connection: Connection, way: Way) -> None:
    write = connection.write

    def restricted(memory: Any, update: Tensor, cond: Tensor | None, activation: nn.Module) -> Any:
        memory = memory if way == "shortcut" else _detached(memory)
        return write(memory, update if way == "branch" else update.detach(), cond, activation)

    connection.write = restricted


def _detached(memory: Any) -> Any:
    """A memory whose tensors pass no gradient on; it may be a tensor or a (named) tuple of memories."""
    if isinstance(memory, Tensor):
        return memory.detach()
    parts = [_detached(part) for part in memory]
    return type(memory)(*parts) if hasattr(memory, "_fields") else type(memory)(parts)
