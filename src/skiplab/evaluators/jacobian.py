from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel

from skiplab.charts import Chart, Measurement
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.results.missing import UnmeasurableError, note_missing
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective

_CHUNK = 256  # rows of a Jacobian computed at once
_RELATIVE_FLOOR = 1e-6  # of the largest singular value: what float32 can tell from zero
_LEAST = 1e-30  # a singular value that stands for 0, so that it has a logarithm
_FLOOR = 1e-29
_MOST_POINTS = 64  # of a spectrum that are drawn

_Network = Callable[[Tensor], Tensor]


class Jacobian(Evaluator[Objective]):
    """How evenly the network scales small changes of its input in all directions: J = dF(x_t, t) / dx_t.

    With s_1 >= ... >= s_n the singular values of J at a validation image and a noise level, each at least
    max(1e-6 s_1, 1e-30),

        spread = sqrt(1/n sum_i (log s_i - 1/n sum_j log s_j)^2),

    in nats, 0 if all directions are scaled alike. jacobian_spread is its mean over images and levels,
    jacobian_median the exponential of the mean over them of the median of log s_i; both are also taken of the network
    before training. A trained network may well scale directions differently, as what is noise and what is image asks
    of it; before training an even spectrum (dynamical isometry) is what lets gradients through deep networks. An
    output that doesn't depend on the input at all has spread 0 too: read it beside the median.

    Source: Pennington et al. 2017, Resurrecting the sigmoid in deep learning through dynamical isometry,
        arXiv:1711.04735, section 2 (input-output Jacobian and its singular values, from memory).
    Differs from the source: of given networks at given inputs, not in the limit of wide ones; of the whole network,
        stem and head included, so that no network's values need be 1. Batch norm takes its running statistics, which
        before training normalize nothing. A classifier's outputs are its scores, at images without noise.

    Args:
        num_images: validation images, at every noise level.
        num_levels: noise levels, if the network denoises.

    Raises:
        SkiplabError: if either is below 1.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "jacobian_spread": Metric(
            label="spread of the Jacobian's singular values (nats)", direction=None, role="mechanism"
        ),
        "jacobian_median": Metric(
            label="median singular value of the Jacobian", direction=None, scale="log", floor=_FLOOR, role="mechanism"
        ),
        # outcomes: the initial network is what it is, whatever training makes of it
        "jacobian_spread_untrained": Metric(
            label="spread of the Jacobian's singular values before training (nats)", direction="lower"
        ),
        "jacobian_median_untrained": Metric(
            label="median singular value of the Jacobian before training", direction=None, scale="log", floor=_FLOOR
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "jacobian_spectrum": Chart(
            title="How the trained network scales changes of its input",
            caption="Singular values of the Jacobian of the network's output with respect to its noisy input, from "
            "the largest to the smallest, by noise level; geometric mean over validation images. A flat line scales "
            "all directions alike; a steep one passes few directions. Values below a millionth of the largest are set "
            "to it.",
            kind="lines",
            x="fraction of singular values that are larger",
            value="singular value",
            log=("value",),
        ),
        "jacobian_spectrum_untrained": Chart(
            title="How the network scales changes of its input before training",
            caption="The same singular values at the initial weights. Here a flat line (dynamical isometry) lets "
            "gradients through, however deep the network is; its height also depends on the stem and the head.",
            kind="lines",
            x="fraction of singular values that are larger",
            value="singular value",
            log=("value",),
        ),
        "jacobian_spread_untrained": Chart(
            title="Unevenness of the Jacobian before training",
            caption="Standard deviation of the logarithms of the Jacobian's singular values at the initial weights; 0 "
            "means that all directions are scaled alike. Each seed, and each arm's mean with its 95% interval.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained[Objective]) -> Result:
        summary, measurements, missing = {}, [], {}
        details = {"num_images": self.eval_batch.count(trained.data.val)}
        for suffix, model in (("", trained.model), ("_untrained", trained.untrained)):
            spread, median, chart = (f"jacobian_{name}{suffix}" for name in ("spread", "median", "spectrum"))
            with note_missing(missing, [spread, median, chart]):
                spectra = self.spectra(trained, model)
                every = torch.cat(list(spectra.values())).log()
                summary[spread] = float(every.std(dim=1, correction=0).mean())
                summary[median] = float(every.quantile(0.5, dim=1).mean().exp())
                measurements += [
                    Measurement(chart, fraction, value, line)
                    for line, values in spectra.items()
                    for fraction, value in _points(values.log().mean(dim=0).exp().tolist())
                ]
                details["num_singular_values"] = every.shape[1]
        return Result(summary, measurements=measurements, details=details, missing=missing)

    def spectra(self, trained: Trained[Objective], model: nn.Module) -> dict[str, Float[Tensor, "image value"]]:
        """For each noise level, the singular values at each image, descending, floored, in float64."""
        objective, split = trained.objective, trained.data.val
        if not isinstance(objective, Denoising):
            return {
                "": torch.stack([spectrum(model, image) for image in split.first(self.eval_batch.num_images).images])
            }
        found = {}
        for *_, noised in self.eval_batch.noised(objective, split, "val"):
            values = []
            for x_t, time, label in zip(noised.x_t, noised.time, noised.labels, strict=True):

                def network(x: Tensor, time: Tensor = time, label: Tensor = label) -> Tensor:
                    return objective.predict(model, x, time[None], label[None])

                values.append(spectrum(network, x_t))
            found[f"time {noised.time[0]:.3g}"] = torch.stack(values)
        return found


def jacobian(network: _Network, x: Float[Tensor, " channel *positions"]) -> Float[Tensor, "output input"]:
    """The derivatives of the network's flattened output with respect to its flattened input."""

    def flat(values: Float[Tensor, " input"]) -> Float[Tensor, " output"]:
        return network(values.view(1, *x.shape)).flatten()

    with sdpa_kernel(SDPBackend.MATH):  # torch's other attention kernels can't be differentiated row by row at once
        return jacrev(flat, chunk_size=_CHUNK)(x.flatten()).detach()


def spectrum(network: _Network, x: Float[Tensor, " channel *positions"]) -> Float[Tensor, " value"]:
    """The Jacobian's singular values, descending, floored.

    Raises:
        UnmeasurableError: if the network's derivatives aren't finite numbers.
    """
    matrix = jacobian(network, x).double()
    if not matrix.isfinite().all():
        raise UnmeasurableError("the network's derivatives aren't finite numbers")
    values = torch.linalg.svdvals(matrix)
    return values.clamp(min=max(_RELATIVE_FLOOR * float(values[0]), _LEAST))


def _points(values: Sequence[float]) -> list[tuple[float, float]]:
    """The fraction of values that are larger, and the value, at evenly spaced ranks."""
    ranks = np.unique(np.linspace(0, len(values) - 1, _MOST_POINTS).round().astype(int)).tolist()
    return [(rank / len(values), values[rank]) for rank in ranks]
