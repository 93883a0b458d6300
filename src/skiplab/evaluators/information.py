from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.probe import Probe
from skiplab.evaluators.streams import stage_streams
from skiplab.metrics import Metric
from skiplab.objectives.denoising import Noised
from skiplab.objectives.objective import Objective

BANDS = ("low", "middle", "high")
_PENALTIES = np.logspace(-4, 4, 17)  # over the number of images, on features of standard deviation 1


class Information(Evaluator):
    """How well the clean image can be read back linearly from the stream after each block, by frequency band.

    The clean image is split into bands d, thirds of the frequencies up to Nyquist's (of the larger of the two axes).
    For each block and noise level a ridge regression reads the bands from the whole stream, fitted on probes of
    training images, its penalty chosen for each output by leaving one image out. With e its error on probes of
    validation images and m the band's mean over training images, the share of the band that is read is

        1 - |e|^2 / |d - m|^2, at least 0.

    Beside the blocks stand the noisy input, read in the same way, and the same network before training: an identity
    stream keeps its input, noise included, for nothing. The worst block says what the whole path lets through where
    nothing passes it by; with long skips something does.

    Source: Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes, arXiv:1610.01644;
        the penalty: Golub et al. 1979, Technometrics 21, as scikit-learn's RidgeCV chooses it.
    Differs from the source: closed-form regression to the clean image, by noise level and frequency band.

    Args:
        num_images: images of each split, at every noise level, from 2.
        num_levels: noise levels.

    Raises:
        SkiplabError: where an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "detail_worst_block": Metric(
            label="share of fine detail (high band) read back after the worst block",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
        ),
        "detail_last_block": Metric(
            label="share of fine detail (high band) read back after the last block",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
        ),
        "detail_input": Metric(
            label="share of fine detail (high band) read back from the noisy input",
            direction=None,
            scale="bounded",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        if num_images < 2:
            raise SkiplabError(
                f"evaluator.information.num_images={num_images} is invalid; valid: a whole number from 2"
            )
        self.probe = Probe(num_images=num_images, num_levels=num_levels)

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        super().check(objective, data, name)
        if len(data.train.shape) != 3 or min(data.train.shape[1:]) < 6:
            raise SkiplabError(
                f"evaluator={name} reads frequency bands of images of at least 6 pixels a side, the data has shape "
                f"{data.train.shape}; leave it out of evaluator=[...]"
            )

    def evaluate(self, trained: Trained) -> Result:
        blocks, from_input = self.shares(trained.model, trained)
        untrained, _ = self.shares(trained.untrained, trained)
        high = blocks[:, :, -1].mean(dim=1)
        summary = {
            "detail_worst_block": float(high.min()),
            "detail_last_block": float(high[-1]),
            "detail_input": float(from_input[:, -1].mean()),
        }
        details = {
            "bands": list(BANDS),
            "time": trained.objective.noise_schedule.levels(self.probe.num_levels).tolist(),
            "share_by_block_level_band": blocks.tolist(),
            "untrained_share_by_block_level_band": untrained.tolist(),
            "input_share_by_level_band": from_input.tolist(),
        }
        return Result(summary, details)

    def shares(
        self, model: nn.Module, trained: Trained
    ) -> tuple[Float[Tensor, "block level band"], Float[Tensor, "level band"]]:
        """The shares read after each block, and from the noisy input."""
        train, val = (self.probe.noised(trained.objective, trained.split(split), split) for split in ("train", "val"))
        by_level = []
        for (x0, _, noised), (val_x0, _, val_noised) in zip(train, val, strict=True):
            target, val_target = bands(x0).cpu(), bands(val_x0).cpu()
            energies = _squares(val_target - target.mean(dim=0))
            places = ([probe.x_t, *_after_blocks(trained, model, probe)] for probe in (noised, val_noised))
            errors = [
                _squares(read(stream, target, unseen) - val_target) for stream, unseen in zip(*places, strict=True)
            ]
            by_level.append((1 - torch.stack(errors) / energies).clamp(min=0))
        whole = torch.stack(by_level, dim=1)
        return whole[1:], whole[0]


def read(
    stream: Float[Tensor, "sample channel *positions"],
    target: Float[Tensor, "sample *shape"],
    unseen: Float[Tensor, "others channel *positions"],
) -> Float[Tensor, "others *shape"]:
    """What ridge regression from streams to targets says of other streams; channels are scaled as they come."""
    features, others = (part.flatten(1).double().cpu().numpy() for part in (stream, unseen))
    scale = features.std() or 1.0
    regression = RidgeCV(alphas=_PENALTIES * len(features), alpha_per_target=True)
    regression.fit(features / scale, target.flatten(1).numpy())
    return torch.from_numpy(regression.predict(others / scale)).view(len(others), *target.shape[1:])


def _after_blocks(trained: Trained, model: nn.Module, noised: Noised) -> list[Tensor]:
    stages = stage_streams(trained.objective, model, [noised])
    return [stream for _, *streams in stages for stream in streams]


def bands(images: Float[Tensor, "sample channel height width"]) -> Float[Tensor, "sample band_channel height width"]:
    """The parts of images whose frequencies lie in each band, one behind the other; their sum is the image."""
    spectrum = torch.fft.fft2(images.double())
    rows, columns = (torch.fft.fftfreq(side, device=images.device).abs() for side in images.shape[2:])
    radius = 2 * torch.maximum(rows[:, None], columns[None, :])  # 1 at Nyquist's
    band = (radius * len(BANDS)).long().clamp(max=len(BANDS) - 1)
    return torch.cat([torch.fft.ifft2(spectrum * (band == index)).real for index in range(len(BANDS))], dim=1)


def _squares(parts: Float[Tensor, "sample band_channel height width"]) -> Float[Tensor, " band"]:
    """The sum of squares in each band."""
    return parts.unflatten(1, (len(BANDS), -1)).square().sum(dim=(0, 2, 3, 4))
