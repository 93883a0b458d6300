import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from skiplab.evaluators.eval_batches.eval_batch import EvalBatch, inputs_per_call
from skiplab.evaluators.evaluator import SplitName, Trained
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.objectives.denoising import Denoising
from skiplab.seeding import keyed_generator


class EvalBatchLoss:
    """The loss at fixed images and noise as a function of all the weights, flattened, and its curvature.

        L(theta) = mean over images and levels of w(t) |F_theta(x_t, t) - target|^2 / dimensions,

    or the mean of the objective's own loss for other networks than denoisers. The network itself is never modified. It
    computes in its own precision; the mean is taken in float64. A loss that overflows counts as the largest float32
    number, one that underflows as the smallest, so that every loss has a logarithm.

    Args:
        trained: the network and what it was trained on.
        eval_batch: the number of images and, for denoisers, of noise levels.
        split: 'train' or 'val'.
    """

    def __init__(self, trained: Trained[Any], eval_batch: EvalBatch, split: SplitName) -> None:
        self.model, self.objective = trained.model, trained.objective
        self.parameters = dict(trained.model.named_parameters())
        self.weights = torch.cat([parameter.detach().flatten() for parameter in self.parameters.values()])
        images = trained.split(split)
        if isinstance(self.objective, Denoising):
            levels = [noised for *_, noised in eval_batch.noised(self.objective, images, split)]
            level_weights = eval_batch.weights(self.objective).to(trained.device)
            samples = [torch.cat(parts) for parts in zip(*levels, strict=True)]
            samples.append(level_weights.repeat_interleave(len(levels[0].x_t)))
        else:
            samples = list(images.first(eval_batch.num_images))
        self.eval_batch_size = len(samples[0])
        size = inputs_per_call(trained.device, images.shape)
        self._batches = list(zip(*(part.split(size) for part in samples), strict=True))

    def __call__(self, weights: Float[Tensor, " weight"]) -> float:
        return _bounded(self._mean(weights))

    def trained(self) -> float:
        """The loss at the trained weights, the reference for other losses.

        Raises:
            UnmeasurableError: if it isn't finite.
        """
        mean = self._mean(self.weights)
        if not math.isfinite(mean):
            raise UnmeasurableError(f"the trained network's loss is {mean}")
        return _bounded(mean)

    def times_hessian(self, vector: Float[Tensor, " weight"]) -> Float[Tensor, " weight"]:
        """H v, with H the second derivatives of L at the trained weights: the gradient of (dL/dtheta v)."""
        total = torch.zeros_like(vector)
        with sdpa_kernel(SDPBackend.MATH):  # torch's other attention kernels can't be differentiated twice
            for batch in self._batches:
                _, product = torch.autograd.functional.vhp(
                    lambda weights, batch=batch: self._sum(batch, weights), self.weights, vector
                )
                assert isinstance(product, Tensor)  # of one tensor of weights
                total += product
        return total / self.eval_batch_size

    @torch.no_grad()
    def _mean(self, weights: Float[Tensor, " weight"]) -> float:
        return sum(self._sum(batch, weights).item() for batch in self._batches) / self.eval_batch_size

    def _sum(self, batch: tuple[Tensor, ...], weights: Float[Tensor, " weight"]) -> Float[Tensor, ""]:
        """The sum of the losses of a batch."""
        sizes = [parameter.numel() for parameter in self.parameters.values()]
        parts = zip(self.parameters.items(), weights.split(sizes), strict=True)
        state = {path: part.view(parameter.shape) for (path, parameter), part in parts}

        def network(*arguments: Tensor | None) -> Tensor:
            return functional_call(self.model, state, arguments)

        if isinstance(self.objective, Denoising):
            x_t, time, labels, target, level_weights = batch
            output = self.objective.predict(network, x_t, time, labels)
            return (level_weights * self.objective.errors(output, target)).sum()
        generator = keyed_generator(0, "probe/loss", device=weights.device)
        images, labels = batch
        return self.objective.loss(network, images, labels, generator).double().sum()


def _bounded(loss: float) -> float:
    limits = torch.finfo(torch.float32)
    return min(max(loss, limits.tiny), limits.max) if math.isfinite(loss) else limits.max
