from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import inputs_per_call
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator


class ShatteredGradients(Evaluator[Objective]):
    """How similar the gradients at neighboring inputs are: their autocorrelation along a segment between two images.

    The segment leads from one validation image to another, a to b, at one noise level and under one noise z. At n
    inputs along it a random sum of the network's outputs is differentiated, and R is the gradients' correlation,

        x_k = alpha ((1 - k/(n-1)) a + k/(n-1) b) + sigma z,  g_k = d r^T F(x_k, t) / dx_k,  k = 0 ... n-1,
        R(m) = sum_k <g_k, g_{k+m}> / sqrt(sum_k |g_k|^2 sum_k |g_{k+m}|^2),  k = 0 ... n-1-m,

    mean over segments, at a lag of m / (n-1) segments; of the trained network and of the same before training. R is 1
    for gradients that are the same all along and 0, but at m = 0, for those that are like white noise: shattered.
    A network without any gradient has R = 0 too.

    Source: Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv:1702.08591, section 2 (autocorrelation of
        gradients with respect to the input, from memory).
    Differs from the source: of inputs of many dimensions, whose products are summed, along segments between images,
        where the source takes a grid of numbers; no mean is subtracted, as over random read-outs r it is zero. If
        the network is conditioned on labels, it gets that of a. Batch norm takes its running statistics, which before
        training normalize nothing. A classifier's outputs are its scores, at images without noise.

    Args:
        num_segments: pairs of validation images, from 1, each image in one pair.
        num_points: inputs of a segment, n, from 3.
        lag: of the summary values, in segments, above 0, up to 0.5; the nearest multiple of 1 / (n-1) is taken.
        time: noise level, as a fraction of the schedule's range, from clean (0) to noisy (1).

    Raises:
        SkiplabError: if an argument is out of range.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "gradient_autocorrelation": Metric(
            label="autocorrelation of input gradients", direction="higher", role="mechanism"
        ),
        # an outcome: the initial network is what it is, whatever training makes of it
        "gradient_autocorrelation_untrained": Metric(
            label="autocorrelation of input gradients before training", direction="higher"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "gradient_autocorrelation_by_lag": Chart(
            title="How far gradients stay alike between two images",
            caption="Autocorrelation of the gradient of the network's output with respect to its input, along "
            "segments between two validation images, for the trained and the untrained network. If it falls at once, "
            "gradients are shattered: they tell nothing about nearby inputs.",
            kind="lines",
            x="lag (fraction of the segment)",
            value="autocorrelation of gradients",
        ),
        "gradient_autocorrelation": Chart(
            title="Gradients at neighboring inputs after training",
            caption="Autocorrelation, at a fixed lag, of the trained network's gradient with respect to its input "
            "along segments between two validation images; each seed, and each arm's mean with its 95% interval. Near "
            "0, gradients are shattered. A network that has learned little may have smooth ones, so read it together "
            "with the loss.",
            kind="outcome",
        ),
        "gradient_autocorrelation_untrained": Chart(
            title="Gradients at neighboring inputs before training",
            caption="The same autocorrelation at the initial weights; each seed, and each arm's mean with its 95% "
            "interval. Near 0, the first steps of training learn from gradients that are like noise.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_segments: int, num_points: int, lag: float, time: float) -> None:
        for name, value, valid, holds in (
            ("num_segments", num_segments, "a whole number from 1", num_segments >= 1),
            ("num_points", num_points, "a whole number from 3", num_points >= 3),
            ("time", time, "a number from 0 to 1", 0 <= time <= 1),
            ("lag", lag, "a number above 0, up to 0.5", 0 < lag <= 0.5),
        ):
            if not holds:
                raise SkiplabError(f"evaluator.shattered_gradients.{name}={value} is invalid; valid: {valid}")
        self.lag_points = round(lag * (num_points - 1))
        if self.lag_points < 1:
            raise SkiplabError(
                f"evaluator.shattered_gradients.lag={lag} is below half the distance of {num_points} points; valid "
                f"from {1 / (num_points - 1):.3g}, or take more num_points"
            )
        self.num_segments, self.num_points, self.time = num_segments, num_points, time

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, data with too few validation images.

        Raises:
            SkiplabError: if there aren't two for each segment.
        """
        super().check(objective, data, name)
        most = len(data.val) // 2
        if self.num_segments > most:
            raise SkiplabError(
                f"evaluator.{name}.num_segments={self.num_segments} needs two validation images each, and the data "
                f"have {len(data.val)}; valid: up to {most}"
            )

    def evaluate(self, trained: Trained[Objective]) -> Result:
        curves = {
            line: autocorrelation(self.gradients(trained, model)).mean(dim=0).tolist()
            for line, model in (("trained", trained.model), ("untrained", trained.untrained))
        }
        summary = {
            "gradient_autocorrelation": curves["trained"][self.lag_points],
            "gradient_autocorrelation_untrained": curves["untrained"][self.lag_points],
        }
        steps = self.num_points - 1
        measurements = [
            Measurement("gradient_autocorrelation_by_lag", lag / steps, value, line)
            for line, curve in curves.items()
            for lag, value in enumerate(curve[: steps // 2 + 1])
        ]
        details = {"lag": self.lag_points / steps, "num_segments": self.num_segments}
        return Result(summary, measurements=measurements, details=details)

    def gradients(self, trained: Trained[Objective], model: nn.Module) -> Float[Tensor, "segment point dimension"]:
        """Of a random sum of outputs, the same in every arm, with respect to the inputs along each segment."""
        objective = trained.objective
        images, labels = trained.data.val.first(2 * self.num_segments)
        fractions = torch.linspace(0, 1, self.num_points, device=images.device).view(-1, *[1] * (images.ndim - 1))
        x = torch.lerp(images[0::2, None], images[1::2, None], fractions).flatten(0, 1)
        network: Callable[..., Tensor] = model
        arguments = [x]
        if isinstance(objective, Denoising):
            own = labels[0::2].repeat_interleave(self.num_points)
            time = objective.noise_schedule.time_at(self.time)
            times = torch.full((len(x),), time, device=x.device)
            noise = self._drawn("noise", images.shape[1:], x.device)
            network = partial(objective.predict, model)
            arguments = [objective.noised(x, noise, times, own).x_t, times, own]
        outputs = (objective.num_logits,) if objective.num_logits else images.shape[1:]
        arguments.append(self._drawn("read_out", outputs, x.device))
        found = []
        size = inputs_per_call(x.device, x.shape[1:])
        for inputs, *others, read_out in zip(*(part.split(size) for part in arguments), strict=True):
            inputs = inputs.clone().requires_grad_()
            (gradient,) = torch.autograd.grad((read_out * network(inputs, *others)).sum(), inputs)
            found.append(gradient.flatten(1).double())
        return torch.cat(found).unflatten(0, (self.num_segments, self.num_points))

    def _drawn(self, purpose: str, shape: Sequence[int], device: torch.device) -> Tensor:
        """Normal numbers for every input, the same all along a segment."""
        generator = keyed_generator(0, f"shattered_gradients/{purpose}")
        drawn = torch.randn(self.num_segments, *shape, generator=generator)
        return drawn.to(device).repeat_interleave(self.num_points, dim=0)


def autocorrelation(gradients: Float[Tensor, "segment point dimension"]) -> Float[Tensor, "segment lag"]:
    """R(0) to R(n-1) along each segment."""
    num_points = gradients.shape[1]
    found = []
    for lag in range(num_points):
        here, there = gradients[:, : num_points - lag].flatten(1), gradients[:, lag:].flatten(1)
        found.append(F.cosine_similarity(here, there, dim=1, eps=torch.finfo(gradients.dtype).tiny))
    return torch.stack(found, dim=1)
