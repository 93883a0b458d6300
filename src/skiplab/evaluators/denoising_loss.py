from typing import ClassVar, NamedTuple

from skiplab.charts import Chart, Measurement
from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.eval_batches.skill import skill
from skiplab.evaluators.evaluator import Evaluator, Result, SplitName, Trained
from skiplab.metrics import Metric


class DenoisingLoss(Evaluator):
    """The training loss at fixed images and noise, on both splits, and by noise level on the validation split.

        loss = mean over levels of w(t) |F(x_t, t) - target|^2 / dimensions
        skill = max(0, 1 - loss / zero-predictor loss)

    x0_error is the unweighted mean squared error of the clean image that the output implies, and

        x0_skill = max(0, 1 - x0_error / mean |x0|^2 / dimensions),

    which is comparable between predictions and between weightings, unlike skill. Skills are 0 if the loss isn't finite.

    output_weight_mean is the mean over the times of training of w, the weight of the squared error of the network's own
    output, and output_weight_variation its standard deviation over its mean, 0 where all times weigh the same. Both are
    known before training. Arms that differ in them differ in what the loss weighs, not in their factor alone.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14; skill: Murphy 1988, Monthly Weather Review 116, eq. 4 (from
        memory).
    Differs from the source: fixed levels instead of random times.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "loss_train": Metric(label="loss at fixed noise, training images", direction="lower"),
        "loss_val": Metric(label="loss at fixed noise, validation images", direction="lower"),
        "skill_train": Metric(label="skill on training images", direction="higher", scale="bounded", if_diverged=0.0),
        "skill_val": Metric(label="skill on validation images", direction="higher", scale="bounded", if_diverged=0.0),
        "x0_error_val": Metric(label="squared error of the clean image", direction="lower", scale="log"),
        "x0_skill_train": Metric(
            label="skill in the clean image, training images", direction="higher", scale="bounded", if_diverged=0.0
        ),
        "output_weight_mean": Metric(
            label="mean weight of the output's squared error in the loss", direction=None, scale="log", role="mechanism"
        ),
        "output_weight_variation": Metric(
            label="variation of that weight over times (standard deviation over mean)",
            direction=None,
            role="mechanism",
        ),
    }

    charts: ClassVar[dict[str, Chart]] = {
        "loss_val": Chart(
            title="Loss on validation images",
            caption="Loss at fixed images and noise; each seed, and each arm's mean with its 95% interval. Lower is "
            "better.",
            kind="outcome",
        ),
        "loss_by_noise": Chart(
            title="Loss by noise level",
            caption="Loss on validation images at each time, from clean (0) to noise (1).",
            kind="lines",
            x="time",
            value="loss, validation images",
            log=("value",),
        ),
        "x0_error_by_noise": Chart(
            title="Error of the clean image by noise level",
            caption="Squared error of the clean image that the output implies, at each time from clean (0) to noise "
            "(1). Comparable between prediction types.",
            kind="lines",
            x="time",
            value="squared error of the clean image",
            log=("value",),
        ),
    }

    def evaluate(self, trained: Trained) -> Result:
        objective, eval_batch = trained.objective, trained.eval_batch
        train, val = (_levels(trained, split) for split in ("train", "val"))
        summary: dict[str, float] = {}
        for split, levels in (("train", train), ("val", val)):
            summary[f"loss_{split}"] = _mean(levels.losses)
            summary[f"skill_{split}"] = skill(_mean(levels.losses), _mean(levels.zero_losses))
        summary["x0_error_val"] = _mean(val.x0_errors)
        images = trained.split("train").first(eval_batch.num_images).images
        summary["x0_skill_train"] = skill(_mean(train.x0_errors), images.double().square().mean().item())
        output_weights, _ = objective.weights()
        summary["output_weight_mean"] = output_weights.mean().item()
        summary["output_weight_variation"] = (output_weights.std(correction=0) / output_weights.mean()).item()
        times = objective.noise_schedule.levels(eval_batch.num_levels).tolist()
        values = {"loss_by_noise": val.losses, "x0_error_by_noise": val.x0_errors}
        measurements = [
            Measurement(chart, time, value)
            for chart, by_level in values.items()
            for time, value in zip(times, by_level, strict=True)
        ]
        return Result(summary, measurements=measurements, details={"num_images": eval_batch.count(trained.data.val)})


class _Levels(NamedTuple):
    """For each noise level: the weighted loss, the zero predictor's, and the clean image's error."""

    losses: list[float]
    zero_losses: list[float]
    x0_errors: list[float]


def _levels(trained: Trained, split: SplitName) -> _Levels:
    objective, eval_batch = trained.objective, trained.eval_batch
    losses, zeros, x0_errors = [], [], []
    for x0, _, noised in eval_batch.noised(objective, trained.split(split), split):
        output = outputs(objective, trained.model, noised)
        losses.append(objective.errors(output, noised.target).double().mean().item())
        zeros.append(noised.target.double().square().mean().item())
        estimate = objective.estimate(output, noised.x_t, noised.time)
        x0_errors.append(objective.errors(estimate.x0, x0).double().mean().item())
    weights = eval_batch.weights(objective).tolist()
    weighted, weighted_zeros = (
        [weight * loss for weight, loss in zip(weights, found, strict=True)] for found in (losses, zeros)
    )
    return _Levels(weighted, weighted_zeros, x0_errors)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
