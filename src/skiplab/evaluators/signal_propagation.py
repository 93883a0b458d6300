import copy
import math
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.mean_field.gradients import measured_norms, predicted_norms
from skiplab.evaluators.mean_field.signal import Signal
from skiplab.evaluators.mean_field.walk import Streams, walk
from skiplab.evaluators.results.missing import UnmeasurableError, require_finite
from skiplab.evaluators.streams.batch_norm import settle_batch_norm
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator

_MOST_ROWS = 2048  # inputs times positions; the theory holds a matrix of this side for each layer


def _mechanism(label: str, scale: Literal["linear", "log"] = "log") -> Metric:
    return Metric(label=label, direction=None, scale=scale, role="mechanism")


def _growth(how: str) -> Metric:
    return _mechanism(f"growth of the stream's variance per block before training (factor), {how}")


def _last_correlation(how: str) -> Metric:
    return _mechanism(f"correlation of two inputs' streams after the last block before training, {how}", "linear")


def _gain(how: str) -> Metric:
    return _mechanism(f"gradient at the first over that at the last stream before training (factor), {how}")


_CURVES = ("signal_variance", "signal_correlation", "signal_gradient")


class SignalPropagation(Evaluator[Objective]):
    """Variance, correlation and gradient of the stream block by block before training: mean field theory and measured.

    For the stream x_l before the first block (l = 0) and after each block, at the initial weights,

        variance q_l = mean of x_l^2 over inputs, channels and positions,
        correlation c_l = mean over pairs of inputs i != j of <x_l^i, x_l^j> / (|x_l^i| |x_l^j|),
        gradient g_l = root mean square of |d <r, x_L> / d x_l|, r a random read-out of the last stream.

    The prediction is made for wide networks from the inputs, the mean squares of each layer's weights and the factors
    of the connection: docs/signal_propagation.md has the equations and the approximations. It follows norms,
    elementwise activations, convolutions, linear maps, long skips and sums of stream and update. For networks with
    anything else, such as attention, the measured values stand alone.

    Source: Poole et al. 2016, arXiv:1606.05340 (variance, correlation); Schoenholz et al. 2017, arXiv:1611.01232
        (gradients); Yang and Schoenholz 2017, arXiv:1712.08969 (residual networks); Xiao et al. 2018, arXiv:1806.05393
        (convolutions); De and Smith 2020, arXiv:2002.10444 (norms and shortcuts).
    Differs from the source: covariances of all positions of given inputs, zeros outside the image, norms within a
        sample; weights as they are drawn. Batch norm takes the mean and variance over the same inputs.

    Args:
        num_inputs: validation inputs, at one noise level, from 2; fewer if images are large.
        num_read_outs: random read-outs r, from 1.
        time: noise level of a denoiser's inputs, as a fraction of the schedule's range, from clean (0) to noisy (1).

    Raises:
        SkiplabError: if an argument is out of range.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "predicted_variance_growth": _growth("predicted"),
        "measured_variance_growth": _growth("measured"),
        "predicted_correlation_last": _last_correlation("predicted"),
        "measured_correlation_last": _last_correlation("measured"),
        "predicted_gradient_gain": _gain("predicted"),
        "measured_gradient_gain": _gain("measured"),
        "propagation_error": _mechanism("largest factor between predicted and measured variance of the stream"),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "signal_variance": Chart(
            title="Variance of the stream before training, predicted and measured",
            caption="Mean square of the stream before the first block (0) and after each block, at the initial "
            "weights: as mean field theory predicts it from the weights' variances, and as measured. A straight line "
            "is exponential growth or decay; where both lines agree, the theory explains it.",
            kind="lines",
            x="block, from input to output",
            value="variance of the stream",
            log=("value",),
        ),
        "signal_correlation": Chart(
            title="Correlation of two inputs before training, predicted and measured",
            caption="Cosine between the streams of two different validation inputs, mean over pairs, at the initial "
            "weights. At 1, the stream no longer tells the inputs apart.",
            kind="lines",
            x="block, from input to output",
            value="correlation of two inputs",
        ),
        "signal_gradient": Chart(
            title="Gradient at each block before training, predicted and measured",
            caption="Norm of the gradient of a random read-out of the last stream with respect to the stream at each "
            "block, at the initial weights; both lines end at the same value. Steep lines are vanishing or exploding "
            "gradients.",
            kind="lines",
            x="block, from input to output",
            value="norm of the gradient",
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
                raise SkiplabError(f"evaluator.signal_propagation.{name}={value} is invalid; valid: {valid}")
        self.num_inputs, self.num_read_outs, self.time = num_inputs, num_read_outs, time

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, images of too many pixels.

        Raises:
            SkiplabError: if the covariances of two images are too many, or there is only one image.
        """
        super().check(objective, data, name)
        most = _MOST_ROWS // 2
        if math.prod(data.train.shape[1:]) > most:
            raise SkiplabError(
                f"evaluator={name} follows the covariances of all pixels of two images, and these have sides "
                f"{tuple(data.train.shape[1:])}; valid: up to {most} pixels, such as (32, 32)"
            )
        if len(data.val) < 2:
            raise SkiplabError(f"evaluator={name} compares two validation images, and the data have {len(data.val)}")

    def evaluate(self, trained: Trained[Objective]) -> Result:
        streams = self._streams(trained)
        if not streams.measured:
            raise UnmeasurableError("the network has no blocks of skiplab, whose streams could be followed")
        curves: dict[str, list[list[float]]] = {"measured": self._measured(streams)}
        if not streams.not_predicted:
            signals = [signal for signal in streams.predicted if signal is not None]
            curves["predicted"] = _predicted(signals, differentiable=not streams.not_differentiable)
        summary: dict[str, float] = {}
        for how, (variance, correlation, *gradient) in curves.items():
            summary[f"{how}_variance_growth"] = _ratio(variance[-1], variance[0]) ** (1 / (len(variance) - 1))
            summary[f"{how}_correlation_last"] = correlation[-1]
            summary |= {f"{how}_gradient_gain": _ratio(norms[0], norms[-1]) for norms in gradient}
        missing = {name: streams.not_differentiable for name in self.metrics if name.endswith("gradient_gain")}
        if "predicted" in curves:
            ratios = [_ratio(*pair) for pair in zip(curves["predicted"][0], curves["measured"][0], strict=True)]
            summary["propagation_error"] = max(max(ratio, _ratio(1.0, ratio)) for ratio in ratios)
        else:
            unpredicted = [name for name in self.metrics if not name.startswith("measured")]
            missing |= {name: f"not predicted: {streams.not_predicted}" for name in unpredicted}
        measurements = [
            Measurement(chart, block, value, how)
            for how in sorted(curves, reverse=True)
            for chart, curve in zip(_CURVES, curves[how], strict=False)
            for block, value in enumerate(curve)
        ]
        missing = {name: why for name, why in missing.items() if name not in summary}
        details = {"num_inputs": len(streams.measured[0]), "num_read_outs": self.num_read_outs}
        return Result(summary, measurements=measurements, details=details, missing=missing)

    def _streams(self, trained: Trained[Objective]) -> Streams:
        """Of the untrained network, in double precision on the CPU."""
        model = copy.deepcopy(trained.untrained).cpu().double().requires_grad_()
        objective, (images, labels) = trained.objective, trained.data.val.first(self.num_inputs)
        count = min(len(images), _MOST_ROWS // math.prod(images.shape[2:]))
        inputs, labels = images[:count].cpu().double(), labels[:count].cpu()
        further, network = (), model
        if isinstance(objective, Denoising):
            time = objective.noise_schedule.time_at(self.time)
            times = torch.full((count,), time, dtype=torch.double)
            inputs, further = objective.noised(inputs, self._drawn("noise", inputs), times, labels).x_t, (times, labels)
            network = partial(objective.predict, model)
        settle_batch_norm(model, lambda: network(inputs, *further))
        return walk(model, lambda: network(inputs, *further))

    def _measured(self, streams: Streams) -> list[list[float]]:
        flat = [require_finite(stream.detach().flatten(1), "streams") for stream in streams.measured]
        products = [each @ each.T / each.shape[1] for each in flat]
        found = [[float(each.diagonal().mean()) for each in products], [_correlation(each) for each in products]]
        if not streams.not_differentiable:
            last = streams.measured[-1]
            read_outs = torch.stack([self._drawn(f"read_out/{number}", last) for number in range(self.num_read_outs)])
            found.append(measured_norms(streams.measured, read_outs))
        return found

    def _drawn(self, purpose: str, like: Tensor) -> Tensor:
        """Normal numbers, the same in every arm and seed."""
        generator = keyed_generator(0, f"signal_propagation/{purpose}")
        return torch.randn(like.shape, generator=generator, dtype=torch.double)


def _predicted(signals: list[Signal], *, differentiable: bool) -> list[list[float]]:
    products = [signal.products().detach() for signal in signals]
    found = [[float(each.diagonal().mean()) for each in products], [_correlation(each) for each in products]]
    return [*found, predicted_norms(signals)] if differentiable else found


def _correlation(products: Float[Tensor, "input input"]) -> float:
    """Mean cosine over pairs of different inputs; 0 for streams of zeros."""
    lengths = products.diagonal().sqrt()
    cosines = products / (lengths[:, None] * lengths[None, :]).clamp(min=1e-300)
    count = len(products)
    return float((cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1)))


def _ratio(over: float, under: float) -> float:
    """The quotient, nan for 0 / 0, whose reason the record then gives."""
    return over / under if under else math.inf if over else math.nan
