from typing import ClassVar

from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Denoising, Noised
from skiplab.objectives.objective import Objective


class BayesFloor(Evaluator):
    """The lowest loss that any denoiser can reach, at the same images and noise, and the network's loss above it.

    With D(x_t) = E[x0 | x_t] known for the data, the best output is the target that it stands for,

        F*(x_t) = a D + b (x_t - alpha D) / sigma,  loss_floor = mean over levels of w(t) |F* - target|^2 / dimensions,
        excess_loss = loss_val - loss_floor,  distance_to_exact = mean over levels of w(t) |F - F*|^2 / dimensions.

    In expectation the last two are equal; on finite noise the excess may be negative, the distance not.

    Source: the minimum mean square error estimator; Kay 1993, Fundamentals of Statistical Signal Processing, chapter 11
        (from memory); the ideal denoiser: Karras et al. 2022, EDM, arXiv:2206.00364, appendix B.3 (from memory).
    Differs from the source: for data of known density, not for the training images as point masses.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "loss_floor": Metric(label="loss of the exact denoiser, validation images", direction="lower"),
        "excess_loss": Metric(label="loss above the exact denoiser's, validation images", direction="lower"),
        "distance_to_exact": Metric(
            label="squared distance to the exact denoiser's output", direction="lower", scale="log"
        ),
    }

    charts: ClassVar[dict[str, Chart]] = {
        "loss_and_floor": Chart(
            title="Loss and its floor by noise level",
            caption="Loss on validation images of the network and of the exact denoiser, at each time from clean (0) "
            "to noise (1). No network can be below the exact denoiser except by chance.",
            kind="lines",
            x="time",
            value="loss, validation images",
            log=("value",),
        ),
        "excess_loss": Chart(
            title="Loss above the floor",
            caption="Loss above the exact denoiser's; each seed, and each arm's mean with its 95% interval. Lower is "
            "better.",
            kind="outcome",
        ),
    }

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, data and networks whose lowest loss isn't known.

        Raises:
            SkiplabError: if the data have no exact denoiser, or the network is conditioned on labels.
        """
        super().check(objective, data, name)
        if data.exact_denoiser is None:
            raise SkiplabError(
                f"evaluator={name} needs data whose exact denoiser is known, and {type(data).__name__} has none; "
                "use data=gaussian_mixture or data=gaussian_mixture_images"
            )
        if objective.num_labels:
            raise SkiplabError(
                f"evaluator={name} needs a network without label conditioning, and this one is conditioned on "
                f"{objective.num_labels} labels; use conditioning=none"
            )

    def evaluate(self, trained: Trained) -> Result:
        objective, eval_batch = trained.objective, trained.eval_batch
        floors, losses, distances = [], [], []
        for *_, noised in eval_batch.noised(objective, trained.data.val, "val"):
            exact = best_output(objective, trained.data, noised)
            output = outputs(objective, trained.model, noised).double()
            floors.append(objective.errors(exact, noised.target.double()).mean().item())
            losses.append(objective.errors(output, noised.target.double()).mean().item())
            distances.append(objective.errors(output, exact).mean().item())
        weights = eval_batch.weights(objective).tolist()

        def weighted_mean(values: list[float]) -> float:
            return sum(weight * value for weight, value in zip(weights, values, strict=True)) / len(values)

        floor = weighted_mean(floors)
        summary = {
            "loss_floor": floor,
            "excess_loss": weighted_mean(losses) - floor,
            "distance_to_exact": weighted_mean(distances),
        }
        times = objective.noise_schedule.levels(eval_batch.num_levels).tolist()
        values = {"network": losses, "exact denoiser": floors}
        measurements = [
            Measurement("loss_and_floor", time, weight * value, line)
            for line, by_level in values.items()
            for time, weight, value in zip(times, weights, by_level, strict=True)
        ]
        return Result(summary, measurements=measurements, details={"num_images": eval_batch.count(trained.data.val)})


def best_output(objective: Denoising, data: Dataset, noised: Noised) -> Tensor:
    """E[target | x_t] in float64: the target is linear in the clean image and the noise, so their means suffice."""
    x_t = noised.x_t.double()
    alpha, sigma = objective.alpha_sigma(noised.time.double(), x_t)
    assert data.exact_denoiser is not None  # `check` refuses other data
    x0 = data.exact_denoiser(x_t, alpha, sigma)
    return objective.prediction.target(x0, (x_t - alpha * x0) / sigma, alpha, sigma)
