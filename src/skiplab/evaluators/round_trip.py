from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.linear_probe import BANDS, band_energies, bands, require_bands
from skiplab.metrics import Metric
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator

_FINE = 10_001  # times between which those of a path are interpolated


class RoundTrip(Evaluator):
    """The error of images that are noised to a middle time and denoised again, by frequency band.

    Validation images x0 become x_t = alpha x0 + sigma noise, from which the trial's sampler goes back to x in some
    number of steps, spaced as by its schedule. With d the part of an image in a band and m the mean of
    training images, the error of the band is

        |d(x) - d(x0)|^2 / |d(x0) - d(m)|^2.

    It is 1 for an image with only the mean in that band, and about 2 for another image of the same kind. One
    step is the network's own estimate, a mean over all that the noise could hide; a sample of many steps decides for
    one of these, and where the noise hides nearly all, its error is up to twice as large. So arms are to be compared
    at equal steps.

    Source: the round trip: Meng et al. 2022, SDEdit, arXiv:2108.01073, section 3 (from memory).
    Differs from the source: measures what is lost, by frequency band, and with any sampler.

    Args:
        num_images: validation images, from 1.
        time: the noise level, as a fraction of the schedule's range, from clean (0, excluded) to noisy (1).
        num_steps: sampling steps of the way back, a list with one entry per round trip; ascending, from 1.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "round_trip_error": Metric(
            label="relative error after a round trip through noise",
            direction="lower",
            scale="log",
        ),
        "round_trip_detail_error": Metric(
            label="relative error of fine detail after a round trip",
            direction="lower",
            scale="log",
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "round_trip_by_steps": Chart(
            title="What a round trip through noise loses",
            caption="Validation images are noised to a middle time and denoised again in this many steps. The error "
            "against the clean image, by frequency band, is relative to the band's own variation: at 1, only the mean "
            "image is left of the band. One step gives the network's best guess; many steps give a sample, whose "
            "error is larger where noise hid the band. Compare arms at equal steps.",
            kind="lines",
            x="sampling steps",
            value="squared error, relative to the band",
            log=("x", "value"),
        ),
        "round_trip_detail_error": Chart(
            title="Fine detail lost in a round trip",
            caption="Error of the high frequency band after noising validation images to a middle time and denoising "
            "them in the largest number of steps; at 1, only the mean image's detail is left. Each seed, and each "
            "arm's mean with its 95% interval. Lower is better.",
            kind="outcome",
            log=("value",),
        ),
    }

    def __init__(self, *, num_images: int, time: float, num_steps: Sequence[int]) -> None:
        if num_images < 1:
            raise SkiplabError(f"evaluator.round_trip.num_images={num_images} is invalid; valid: a whole number from 1")
        if not 0 < time <= 1:
            raise SkiplabError(f"evaluator.round_trip.time={time} is invalid; valid: a number above 0, up to 1")
        whole = all(isinstance(number, int) and number >= 1 for number in num_steps)
        if not num_steps or not whole or sorted(set(num_steps)) != list(num_steps):
            raise SkiplabError(
                f"evaluator.round_trip.num_steps={list(num_steps)} is invalid; valid: a list of whole numbers from 1, "
                "ascending"
            )
        self.num_images, self.time, self.num_steps = num_images, time, list(num_steps)

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        """Refuse, before training, networks that aren't denoisers and data without frequency bands.

        Raises:
            SkiplabError: if the objective isn't denoising, or the data aren't images of at least 6x6 pixels.
        """
        super().check(objective, data, name)
        require_bands(data, f"evaluator={name} measures")

    def evaluate(self, trained: Trained) -> Result:
        clean = trained.data.val.first(self.num_images).images
        target = bands(clean)
        energies = band_energies(target - bands(_mean_image(trained)))
        by_steps = {
            num_steps: band_energies(bands(self.returned(trained, num_steps)) - target) for num_steps in self.num_steps
        }
        measurements = [
            Measurement("round_trip_by_steps", num_steps, relative, line=band)
            for num_steps, errors in by_steps.items()
            for band, relative in zip(BANDS, (errors / energies).tolist(), strict=True)
        ]
        errors = by_steps[self.num_steps[-1]]
        summary = {
            "round_trip_error": float(errors.sum() / energies.sum()),
            "round_trip_detail_error": float(errors[-1] / energies[-1]),
        }
        start = path_from(trained.objective.noise_schedule, self.time, 1)
        alpha, sigma = trained.objective.noise_schedule.alpha_sigma(start)
        details = {
            "num_images": len(clean),
            "time": float(start),
            "noise_over_signal": float(sigma / alpha),
            "sampler": type(trained.sampler).__name__,
        }
        return Result(summary, measurements=measurements, details=details)

    def returned(self, trained: Trained, num_steps: int) -> Float[Tensor, "sample channel height width"]:
        """The validation images after a round trip of so many steps."""
        clean, labels = trained.data.val.first(self.num_images)
        objective = trained.objective
        path = path_from(objective.noise_schedule, self.time, num_steps).to(clean.device)
        noise = torch.randn(clean.shape, generator=keyed_generator(0, "round_trip/noise")).to(clean.device)
        noised = objective.noised(clean, noise, path[:1].expand(len(clean)), labels)
        generator = keyed_generator(0, "round_trip/sampler", num_steps, device=clean.device)
        return trained.sampler.denoise_along(path, noised.x_t, trained.model, objective, labels, generator)


def path_from(schedule: NoiseSchedule, fraction: float, num_steps: int) -> Float[Tensor, " steps"]:
    """num_steps times, from a fraction of the schedule's range down to its lowest, spaced like the schedule's path."""
    times = schedule.path(_FINE).flip(0).numpy()
    places = np.linspace(0, 1, _FINE)
    start = np.interp(schedule.time_at(fraction), times, places)
    return torch.from_numpy(np.interp(np.linspace(start, 0, num_steps), places, times))


def _mean_image(trained: Trained) -> Float[Tensor, "1 channel height width"]:
    split = trained.data.train
    parts = (batch.images.double().sum(dim=0, keepdim=True) for batch in split.batches(4096))
    total = sum(parts, start=torch.zeros(()))
    return total / len(split)
