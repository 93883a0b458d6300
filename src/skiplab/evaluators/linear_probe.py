from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.streams.stage_streams import State, stage_states
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Noised
from skiplab.objectives.objective import Objective

BANDS = ("low", "middle", "high")
_PENALTIES = [10.0**power for power in range(-4, 5)]  # over the number of images, features of standard deviation 1


class LinearProbe(Evaluator):
    """How well the clean image can be predicted linearly from what the network holds after each block, by frequency.

    The clean image is split into bands d, thirds of the frequencies up to Nyquist's (of the larger of the two axes).
    For each block and noise level, a ridge regression predicts the bands from what the network holds: the whole stream,
    and what long skips carry past the block, each divided by its standard deviation. It is fitted on an evaluation
    batch of training images; the penalty of each output is selected by leave-one-out validation. With e its
    error on an evaluation batch of validation images and m the band's mean over training images, the fraction of the
    band that is recovered is

        1 - |e|^2 / |d - m|^2, at least 0.

    For comparison, the noisy input and the untrained network are measured in the same way, since an identity stream
    preserves its input, noise included, without learning. What is read after the worst block is about all that later
    blocks can recover linearly. Long skips of an external network aren't seen: there it is what the path through all
    blocks keeps.

    Source: Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes, arXiv:1610.01644;
        the penalty: Golub et al. 1979, Generalized Cross-Validation, Technometrics 21 (leaving one out, from memory).
    Differs from the source: closed-form regression to the clean image, by noise level and frequency band.

    Args:
        num_images: images of each split, at every noise level, from 2.
        num_levels: noise levels.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "detail_worst_block": Metric(
            label="fraction of fine detail (high band) recovered after the worst block",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
            role="mechanism",
        ),
        "detail_last_block": Metric(
            label="fraction of fine detail (high band) recovered after the last block",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
            role="mechanism",
        ),
        "detail_input": Metric(
            label="fraction of fine detail (high band) recovered from the noisy input", direction=None, scale="bounded"
        ),
    }

    charts: ClassVar[dict[str, Chart]] = {
        "detail_by_block": Chart(
            title="How much of the clean image the network holds after each block",
            caption="Fraction of each frequency band of the clean image that a linear regression recovers after each "
            "block; for the high band, also before training. Block 0 is the noisy input. Means over noise levels.",
            kind="lines",
            x="block, from input to output",
            value="fraction recovered",
        ),
        "detail_by_noise": Chart(
            title="Fine detail by noise level",
            caption="Fraction of the high frequency band of the clean image that a linear regression recovers from "
            "what the network holds after the worst block and from the noisy input, at each time from clean (0) to "
            "noise (1).",
            kind="lines",
            x="time",
            value="fraction of the high band recovered",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        if num_images < 2:
            raise SkiplabError(
                f"evaluator.linear_probe.num_images={num_images} is invalid; valid: a whole number from 2"
            )
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        super().check(objective, data, name)
        require_bands(data, f"evaluator={name} reads")

    def evaluate(self, trained: Trained) -> Result:
        blocks, from_input = self.fractions(trained.model, trained)
        untrained, _ = self.fractions(trained.untrained, trained)
        high = blocks[:, :, -1].mean(dim=1)
        summary = {
            "detail_worst_block": float(high.min()),
            "detail_last_block": float(high[-1]),
            "detail_input": float(from_input[:, -1].mean()),
        }
        measurements = [
            Measurement("detail_by_block", block, float(fraction), f"{who}, {band}")
            for who, fractions, shown in (("trained", blocks, BANDS), ("untrained", untrained, BANDS[-1:]))
            for block, by_band in enumerate(fractions.mean(dim=1), start=1)
            for band, fraction in zip(shown, by_band[-len(shown) :], strict=True)
        ]
        measurements += [
            Measurement("detail_by_block", 0, float(fraction), f"trained, {band}")
            for band, fraction in zip(BANDS, from_input.mean(dim=0), strict=True)
        ]
        times = trained.objective.noise_schedule.levels(self.eval_batch.num_levels).tolist()
        by_noise = {"worst block": blocks[:, :, -1].min(dim=0).values, "noisy input": from_input[:, -1]}
        measurements += [
            Measurement("detail_by_noise", time, float(fraction), line)
            for line, fractions in by_noise.items()
            for time, fraction in zip(times, fractions, strict=True)
        ]
        return Result(
            summary, measurements=measurements, details={"num_images": self.eval_batch.count(trained.data.val)}
        )

    def fractions(
        self, model: nn.Module, trained: Trained
    ) -> tuple[Float[Tensor, "block level band"], Float[Tensor, "level band"]]:
        """The fractions recovered after each block, and from the noisy input."""
        train, val = (
            self.eval_batch.noised(trained.objective, trained.split(split), split) for split in ("train", "val")
        )
        by_level = []
        for (x0, _, noised), (val_x0, _, val_noised) in zip(train, val, strict=True):
            target, val_target = bands(x0).cpu(), bands(val_x0).cpu()
            energies = band_energies(val_target - target.mean(dim=0))
            places = (
                [[eval_batch.x_t], *_after_blocks(trained, model, eval_batch)] for eval_batch in (noised, val_noised)
            )
            errors = [
                band_energies(read(state, target, unseen) - val_target) for state, unseen in zip(*places, strict=True)
            ]
            by_level.append((1 - torch.stack(errors) / energies).clamp(min=0))
        whole = torch.stack(by_level, dim=1)
        return whole[1:], whole[0]


def read(
    streams: Sequence[Float[Tensor, "sample channel *positions"]],
    target: Float[Tensor, " sample *shape"],
    unseen: Sequence[Float[Tensor, "others channel *positions"]],
) -> Float[Tensor, " others *shape"]:
    """The targets that ridge regression from streams, side by side, to targets predicts for other samples.

    There are more features than samples, so all is done with the samples' inner products K, in their eigenvectors:
    with c = (K + a)^-1 y, the error at a sample that is left out is a c_i / (a [(K + a)^-1]_ii - 1 / n).
    """
    scaled = [_scaled(stream, other) for stream, other in zip(streams, unseen, strict=True)]
    features, others = (torch.cat(parts, dim=1) for parts in zip(*scaled, strict=True))
    mean = target.flatten(1).mean(dim=0)
    wanted = target.flatten(1) - mean
    values, vectors = torch.linalg.eigh(features @ features.T)
    rotated = vectors.T @ wanted
    least, best = torch.full_like(mean, torch.inf), torch.zeros_like(wanted)
    for penalty in (fraction * len(features) for fraction in _PENALTIES):
        shrunk = 1 / (values.clamp(min=0) + penalty)
        coefficients = vectors @ (shrunk[:, None] * rotated)
        left_out = penalty * vectors.square() @ shrunk - 1 / len(features)
        error = (penalty * coefficients / left_out[:, None]).square().mean(dim=0)
        better = error < least
        least, best = torch.where(better, error, least), torch.where(better, coefficients, best)
    return (others @ features.T @ best + mean).view(len(others), *target.shape[1:])


def _scaled(stream: Tensor, unseen: Tensor) -> tuple[Float[Tensor, "sample feature"], Float[Tensor, "others feature"]]:
    """Both without the mean of the first, and divided by its one standard deviation."""
    features, others = (part.flatten(1).double().cpu() for part in (stream, unseen))
    deviation, center = features.std(correction=0), features.mean(dim=0)
    scale = torch.where(deviation > 0, deviation, 1.0)  # a stream may be constant
    return (features - center) / scale, (others - center) / scale


def _after_blocks(trained: Trained, model: nn.Module, noised: Noised) -> list[State]:
    stages = stage_states(trained.objective, model, [noised])
    return [state for _, *places in stages for (state,) in places]


def require_bands(data: Dataset, asker: str) -> None:
    """Refuse data without frequency bands; the error begins with `asker`.

    Raises:
        SkiplabError: unless the data are images of at least 6x6 pixels.
    """
    if len(data.train.shape) != 3 or min(data.train.shape[1:]) < 6:
        raise SkiplabError(
            f"{asker} frequency bands of images of at least 6x6 pixels, but the data's shape is {data.train.shape}; "
            "remove it from evaluator=[...]"
        )


def bands(images: Float[Tensor, "sample channel height width"]) -> Float[Tensor, "sample band_channel height width"]:
    """The parts of images in each frequency band, concatenated along the channels; their sum is the image."""
    spectrum = torch.fft.fft2(images.double())
    rows, columns = (torch.fft.fftfreq(side, device=images.device).abs() for side in images.shape[2:])
    radius = 2 * torch.maximum(rows[:, None], columns[None, :])  # 1 at Nyquist's
    band = (radius * len(BANDS)).long().clamp(max=len(BANDS) - 1)
    return torch.cat([torch.fft.ifft2(spectrum * (band == index)).real for index in range(len(BANDS))], dim=1)


def band_energies(parts: Float[Tensor, "sample band_channel height width"]) -> Float[Tensor, " band"]:
    """The sum of squares in each band."""
    return parts.unflatten(1, (len(BANDS), -1)).square().sum(dim=(0, 2, 3, 4))
