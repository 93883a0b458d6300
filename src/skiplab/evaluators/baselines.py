from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Split
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.reference_cache import cached_of_images, digest
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Noised


class Baselines(Evaluator):
    """The losses of two simple predictors, zero and the best affine map, at the same images and noise.

    The zero predictor outputs 0. The best affine predictor at a noise level, with m and S the mean and covariance
    of the training images and target = a x0 + b noise, is

        a m + (a alpha S + b sigma I) (alpha^2 S + sigma^2 I)^-1 (x_t - alpha m).

    A network whose loss is not below these has learned nothing beyond them.

    Source: linear minimum mean square error estimation; Kay 1993, Fundamentals of Statistical Signal Processing, eq.
        12.27 (from memory).
    Differs from the source: none.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "loss_zero": Metric(label="loss of the zero predictor, validation images", direction="lower"),
        "loss_affine": Metric(label="loss of the best affine predictor, validation images", direction="lower"),
    }

    charts: ClassVar[dict[str, Chart]] = {
        "loss_by_predictor": Chart(
            title="Loss of simple predictors by noise level",
            caption="Loss on validation images of the zero predictor and of the best affine predictor, at each time "
            "from clean (0) to noise (1). A useful network is below both.",
            kind="lines",
            x="time",
            value="loss, validation images",
            log=("value",),
        ),
    }

    def evaluate(self, trained: Trained) -> Result:
        objective, eval_batch = trained.objective, trained.eval_batch
        levels = eval_batch.noised(objective, trained.data.val, "val")
        known = {name: part.cpu() for name, part in _along_eigenvectors(trained, levels).items()}
        losses: dict[str, list[Tensor]] = {"zero": [], "affine": []}
        for (_, _, noised), cross, of_noise in zip(levels, known["cross"], known["noise"], strict=True):
            alpha, sigma = objective.noise_schedule.alpha_sigma(noised.time[:1].double().cpu())
            a, b = objective.prediction.coefficients(alpha, sigma)
            gains = (a * alpha * known["values"] + b * sigma) / (alpha**2 * known["values"] + sigma**2)
            # the error is the image times one factor and the noise times another
            image_factor, noise_factor = alpha * gains - a, sigma * gains - b
            squares = image_factor**2 * known["images"] + noise_factor**2 * of_noise
            losses["affine"].append((squares + 2 * image_factor * noise_factor * cross).mean())
            losses["zero"].append(noised.target.double().square().mean().cpu())
        weighted = {name: eval_batch.weights(objective) * torch.stack(found) for name, found in losses.items()}
        times = objective.noise_schedule.levels(eval_batch.num_levels).tolist()
        measurements = [
            Measurement("loss_by_predictor", time, float(loss), f"{name} predictor")
            for name, by_level in weighted.items()
            for time, loss in zip(times, by_level, strict=True)
        ]
        return Result(
            {f"loss_{name}": float(by_level.mean()) for name, by_level in weighted.items()}, measurements=measurements
        )


def _along_eigenvectors(trained: Trained, levels: Sequence[tuple[Tensor, Tensor, Noised]]) -> dict[str, Tensor]:
    """Means over the evaluation batch's validation images, along the eigenvectors of the training images' covariance.

    values: the eigenvalues; images: the squares of the clean images; cross and noise: by level, the products of images
    and noise, and the squares of the noise. No network changes them, so they are computed once.
    """
    seen = digest({"images": levels[0][0]} | {str(index): noise for index, (_, noise, _) in enumerate(levels)})

    def compute() -> dict[str, Tensor]:
        spectrum = cached_of_images(trained, "spectrum", lambda: _spectrum(trained.data.train))
        mean, vectors = spectrum["mean"], spectrum["vectors"]
        images = (levels[0][0].flatten(1).double().to(mean.device) - mean) @ vectors
        noises = [noise.flatten(1).double().to(mean.device) @ vectors for _, noise, _ in levels]
        return {
            "values": spectrum["values"],
            "images": images.square().mean(dim=0),
            "cross": torch.stack([(images * noise).mean(dim=0) for noise in noises]),
            "noise": torch.stack([noise.square().mean(dim=0) for noise in noises]),
        }

    return cached_of_images(trained, f"along_eigenvectors_{seen[:32]}", compute)


def _spectrum(split: Split) -> dict[str, Tensor]:
    """Mean, and eigenvalues and eigenvectors of the covariance, of all images, flattened."""
    mean, covariance = moments(split)
    values, vectors = torch.linalg.eigh(covariance)
    return {"mean": mean, "values": values, "vectors": vectors}


def moments(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and covariance of all images, flattened, in float64; two passes over batches, so that none is too large."""

    def rows() -> Iterator[Tensor]:
        return (batch.images.flatten(1).double().cpu() for batch in split.batches(4096))

    nothing = torch.zeros(())
    mean = sum((part.sum(dim=0) for part in rows()), start=nothing) / len(split)
    squares = sum(((part - mean).T @ (part - mean) for part in rows()), start=nothing)
    return mean, squares / (len(split) - 1)
