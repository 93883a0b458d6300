import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.eval_batches.eval_batch_loss import EvalBatchLoss
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.results.missing import UnmeasurableError, note_missing, require_finite
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator, keyed_seed

_TOLERANCE = 1e-3  # of an eigenvalue, relative


class Landscape(Evaluator[Objective]):
    """How steeply the training loss rises around the trained weights theta, and its largest curvature there.

    With d a random direction whose every filter has the norm of the network's own filter, d_i |theta_i| / |d_i|,

        slice(a) = L(theta + a d),  surface(a, b) = L(theta + a d_1 + b d_2),
        landscape_rise = (product over directions and both signs of L(theta +- radius d) / L(theta))^(1 / 2 directions),

    and hessian_top the largest eigenvalue of d^2 L / d theta^2, found by Lanczos' method from products with it. A
    filter is all weights of one index of a parameter's first dimension, its output channel; biases, scales and all
    other parameters of fewer than two dimensions stay where they are, as do running statistics. L is the loss at fixed
    noise on training images. Random draws are the same in every arm.

    Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, arXiv:1712.09913, eq. 1 and section 4.
    Differs from the source: eigenvalues at the trained weights alone, and for denoising the loss at fixed noise levels.
        The network computes in its own precision (float32), Lanczos' method in float64. A loss that overflows counts
        as the largest number of float32, one that underflows as the smallest; of a network whose own loss is no finite
        number there is no landscape.

    Args:
        num_images: training images, at every noise level.
        num_levels: noise levels.
        radius: largest step, in norms of the filters, above 0.
        num_points: steps of a slice and of each side of the surface, odd, from 3.
        num_directions: slices, from 2; the first two span the surface.
        num_eigenvalues: of the largest, from 1.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    measures: ClassVar[type[Objective]] = Objective
    metrics: ClassVar[dict[str, Metric]] = {
        "hessian_top": Metric(
            label="largest eigenvalue of the loss's Hessian",
            direction="lower",
            scale="log",
            floor=1e-9,
            role="mechanism",
        ),
        "landscape_rise": Metric(
            label="rise of the loss one radius away (factor)", direction="lower", scale="log", role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "landscape_slice": Chart(
            title="Loss along random directions",
            caption="Training loss when all filters of the trained network (at 0) are moved along a random direction, "
            "in units of their own norms; geometric mean over directions. In a wide valley, the loss tolerates "
            "changes of the weights; a slice that is flat and high belongs to a network that has learned little.",
            kind="lines",
            x="step (filter norms)",
            value="training loss",
            log=("value",),
        ),
        "landscape_surface": Chart(
            title="Loss over two random directions",
            caption="The training loss around the trained weights (in the middle), over two random directions in "
            "units of the filters' own norms. Round, evenly spaced level lines mean a smooth, nearly convex valley.",
            kind="contour",
            x="step along direction 1 (filter norms)",
            y="step along direction 2 (filter norms)",
            value="training loss",
            log=("value",),
        ),
        "hessian_spectrum": Chart(
            title="Sharpest curvatures of the loss",
            caption="The largest eigenvalues of the training loss's second derivatives at the trained weights. Plain "
            "gradient descent is stable at learning rates below 2 over the largest.",
            kind="bars",
            x="rank",
            value="eigenvalue",
        ),
        "hessian_top": Chart(
            title="Sharpest curvature",
            caption="The largest eigenvalue of the training loss's second derivatives at the trained weights; each "
            "seed, and each arm's mean with its 95% interval. Lower is flatter; a network that has learned little may "
            "be flat too.",
            kind="outcome",
            log=("value",),
        ),
        "landscape_rise": Chart(
            title="Steepness of the valley",
            caption="The factor by which the training loss rises when the filters are moved by one radius in a random "
            "direction, geometric mean over directions; each seed, and each arm's mean with its 95% interval. A "
            "network that has learned little has little to lose, so read it together with the loss.",
            kind="outcome",
            log=("value",),
        ),
    }

    def __init__(
        self,
        *,
        num_images: int,
        num_levels: int,
        radius: float,
        num_points: int,
        num_directions: int,
        num_eigenvalues: int,
    ) -> None:
        for name, value, valid, holds in (
            ("radius", radius, "a number above 0", 0 < radius < math.inf),
            ("num_points", num_points, "an odd whole number from 3", num_points >= 3 and num_points % 2 == 1),
            ("num_directions", num_directions, "a whole number from 2", num_directions >= 2),
            ("num_eigenvalues", num_eigenvalues, "a whole number from 1", num_eigenvalues >= 1),
        ):
            if not holds:
                raise SkiplabError(f"evaluator.landscape.{name}={value} is invalid; valid: {valid}")
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)
        self.radius, self.num_points = radius, num_points
        self.num_directions, self.num_eigenvalues = num_directions, num_eigenvalues

    def evaluate(self, trained: Trained[Objective]) -> Result:
        loss = EvalBatchLoss(trained, self.eval_batch, "train")
        loss.trained()  # refuses a loss that isn't finite, above which nothing can rise
        summary, measurements, missing = {}, [], {}
        with note_missing(missing, ["landscape_rise", "landscape_slice", "landscape_surface"]):
            directions = [self.direction(trained, number) for number in range(self.num_directions)]
            summary["landscape_rise"], measurements = self.slices(loss, directions)
        with note_missing(missing, ["hessian_top", "hessian_spectrum"]):
            spectrum = self.top_eigenvalues(loss, trained.seed)
            summary["hessian_top"] = spectrum[0]
            measurements += [Measurement("hessian_spectrum", rank, value) for rank, value in enumerate(spectrum, 1)]
        return Result(
            summary,
            measurements=measurements,
            details={
                "eval_batch_size": loss.eval_batch_size,
                "radius": self.radius,
                "num_directions": self.num_directions,
            },
            missing=missing,
        )

    def slices(
        self, loss: EvalBatchLoss, directions: Sequence[Float[Tensor, " weight"]]
    ) -> tuple[float, list[Measurement]]:
        """The rise one radius away, and the loss along the directions and over the first two."""
        steps = np.linspace(-self.radius, self.radius, self.num_points).tolist()
        along = torch.tensor([[_at(loss, (step, d)) for step in steps] for d in directions], dtype=torch.float64).log()
        means = zip(steps, along.mean(dim=0).exp().tolist(), strict=True)
        first, second = directions[:2]
        measurements = [
            *(Measurement("landscape_slice", *point) for point in means),
            *(
                Measurement("landscape_surface", x, _at(loss, (x, first), (y, second)), y=y)
                for x in steps
                for y in steps
            ),
        ]
        rise = (along[:, [0, -1]] - along[:, [self.num_points // 2]]).mean().exp()
        return float(rise), measurements

    def direction(self, trained: Trained[Objective], number: int) -> Float[Tensor, " weight"]:
        """One of the random directions, flattened as the weights of EvalBatchLoss are.

        Raises:
            UnmeasurableError: if the norms of filters overflow.
        """
        parts = []
        for path, weight in trained.model.named_parameters():
            generator = keyed_generator(trained.seed, f"landscape/{path}", number)
            drawn = torch.randn(weight.shape, generator=generator).to(weight.device)
            parts.append(filter_normalized(drawn, weight.detach()).flatten())
        return require_finite(torch.cat(parts), "steps of a random direction")

    def top_eigenvalues(self, loss: EvalBatchLoss, seed: int) -> list[float]:
        """The algebraically largest ones, descending.

        Raises:
            UnmeasurableError: if products with the Hessian aren't finite numbers, or Lanczos' method finds none.
        """
        generator = np.random.default_rng(keyed_seed(seed, "landscape/start"))

        try:
            values = eigsh(
                _Hessian(loss),
                k=self.num_eigenvalues,
                which="LA",
                v0=generator.standard_normal(len(loss.weights)),
                rng=generator,  # for restarts, if the Hessian's rank is below the number of products
                tol=_TOLERANCE,  # pyright: ignore[reportArgumentType] - the stub takes its default's type, int
                return_eigenvectors=False,
            )
        except ArpackError as error:
            raise UnmeasurableError(f"Lanczos' method found no largest eigenvalue: {error}") from error
        return sorted(np.asarray(values).tolist(), reverse=True)


class _Hessian(LinearOperator):
    """Products with the second derivatives of a loss, in the form that scipy's eigenvalue solver takes."""

    def __init__(self, loss: EvalBatchLoss) -> None:
        super().__init__(np.float64, (len(loss.weights), len(loss.weights)))
        self.loss = loss

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        found = self.loss.times_hessian(torch.from_numpy(x.ravel()).to(self.loss.weights))
        return require_finite(found, "second derivatives of the loss").double().cpu().numpy()


def filter_normalized(drawn: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A direction whose every filter has the norm of the parameter's own; 0 if there are no filters."""
    if weight.ndim < 2:
        return torch.zeros_like(weight)
    inside = tuple(range(1, weight.ndim))
    own, of_drawn = (torch.linalg.vector_norm(part, dim=inside, keepdim=True) for part in (weight, drawn))
    return drawn * own / of_drawn


def _at(loss: EvalBatchLoss, *steps: tuple[float, Tensor]) -> float:
    """The loss some steps away from the trained weights."""
    return loss(sum((step * direction for step, direction in steps), start=loss.weights))
