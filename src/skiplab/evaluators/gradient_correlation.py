import copy
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.streams.batch_norm import settle_batch_norm
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator

_NOISE_OF_THE_MEAN = 1e-3  # below it, pairs of a few hundred inputs can't distinguish a correlation from none


class GradientCorrelation(Evaluator[Objective]):
    """How similar the gradients at different inputs are before training: their correlation over all pairs of inputs.

        R = mean over r and i != j of <g_i, g_j> / mean over r and i of |g_i|^2,   g_i = d r^T F(x_i) / dx_i,

    where r is a random sum of the network's outputs, at its initial weights. R is 1 for a linear network and 0 for
    gradients that are like white noise. It is measured for validation inputs (noised, for a denoiser) and for normal
    noise, whose samples are nearly orthogonal. Values below 0.001 can't be distinguished from 0 and are censored.

    Source: Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591, section 3 (from memory): with batch
        norm, which makes two inputs activate a rectifier together a quarter of the time, R falls as 1/2^L over the L
        layers of a plain network, as (3/4)^L over the blocks of a residual one, and there with batch norm as 1/sqrt(L).
    Differs from the source: a correlation over the inputs of one network with random weights, while theirs is over
        weights. Batch norm takes the mean and variance over the same inputs, held fixed while differentiating.

    Args:
        num_inputs: x_i, from 2, at most as many as there are validation images.
        num_read_outs: random sums r, from 1.
        time: noise level of a denoiser's inputs, as a fraction of the schedule's range, from clean (0) to noisy (1).

    Raises:
        SkiplabError: if an argument is out of range.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        # outcomes: the initial network is what it is, whatever training makes of it
        "gradient_correlation": Metric(
            label="correlation of input gradients before training",
            direction="higher",
            scale="log",
            floor=_NOISE_OF_THE_MEAN,
        ),
        "gradient_correlation_noise": Metric(
            label="correlation of input gradients before training, inputs of noise",
            direction="higher",
            scale="log",
            floor=_NOISE_OF_THE_MEAN,
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "gradient_correlation": Chart(
            title="Gradients at different inputs before training",
            caption="Correlation, over pairs of validation inputs, of the initial network's gradient with respect to "
            "its input; each seed, and each arm's mean with its 95% interval. Near 0, gradients are shattered.",
            kind="outcome",
            log=("value",),
        ),
        "gradient_correlation_noise": Chart(
            title="Gradients at inputs of noise before training",
            caption="The same correlation, over pairs of inputs that are normal noise; each seed, and each arm's mean "
            "with its 95% interval.",
            kind="outcome",
            log=("value",),
        ),
    }

    def __init__(self, *, num_inputs: int, num_read_outs: int, time: float) -> None:
        for name, value, valid, holds in (
            ("num_inputs", num_inputs, "a whole number from 2", num_inputs >= 2),
            ("num_read_outs", num_read_outs, "a whole number from 1", num_read_outs >= 1),
            ("time", time, "a number from 0 to 1", 0 <= time <= 1),
        ):
            if not holds:
                raise SkiplabError(f"evaluator.gradient_correlation.{name}={value} is invalid; valid: {valid}")
        self.num_inputs, self.num_read_outs, self.time = num_inputs, num_read_outs, time

    def evaluate(self, trained: Trained[Objective]) -> Result:
        inputs, labels = trained.data.val.first(self.num_inputs)
        noise = self._drawn("noise", inputs.shape, inputs.device)
        objective, further = trained.objective, ()
        if isinstance(objective, Denoising):
            time = objective.noise_schedule.time_at(self.time)
            times = torch.full((len(inputs),), time, device=inputs.device)
            inputs, further = objective.noised(inputs, noise, times, labels).x_t, (times, labels)
        return Result(
            {
                "gradient_correlation": self._correlation(trained, inputs, further),
                "gradient_correlation_noise": self._correlation(trained, noise, further),
            },
            details={"num_inputs": len(inputs)},
        )

    def _correlation(self, trained: Trained[Objective], inputs: Tensor, further: tuple[Tensor, ...]) -> float:
        objective, model = trained.objective, copy.deepcopy(trained.untrained)
        network = partial(objective.predict, model) if isinstance(objective, Denoising) else model
        settle_batch_norm(model, lambda: network(inputs, *further))
        shape = (objective.num_logits,) if objective.num_logits else inputs.shape[1:]
        read_outs = self._drawn("read_out", (self.num_read_outs, *shape), inputs.device)
        x = inputs.clone().requires_grad_()
        outputs = network(x, *further)
        gradients = [torch.autograd.grad((r * outputs).sum(), x, retain_graph=True)[0].flatten(1) for r in read_outs]
        return correlation(torch.stack(gradients).double())

    def _drawn(self, purpose: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Normal numbers, the same in every arm and seed."""
        return torch.randn(shape, generator=keyed_generator(0, f"gradient_correlation/{purpose}")).to(device)


def correlation(gradients: Float[Tensor, "read_out input dimension"]) -> float:
    """R; 0 without gradients."""
    count = gradients.shape[1]
    squares = gradients.square().sum(dim=(1, 2))
    products = gradients.sum(dim=1).square().sum(dim=1) - squares  # over ordered pairs of different inputs
    mean_square = squares.mean() / count
    return 0.0 if mean_square == 0 else float(products.mean() / (count * (count - 1)) / mean_square)
