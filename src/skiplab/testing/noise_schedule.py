"""The contract of a noise schedule."""

from collections.abc import Callable

import torch

from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.testing.rules import global_generator_untouched, require


def check_noise_schedule(make: Callable[[], NoiseSchedule]) -> None:
    """Check the contract of a noise schedule.

    alpha and sigma are finite, not negative, and have the shape and type of the time; sigma is above 0. sigma / alpha
    grows with time, from below 1 at time_min to above 1 at time_max. `draw` returns times within [time_min, time_max]
    and uses its generator alone. `levels` ascends within these times. `path` descends from time_max to time_min in
    float64. `rates` are the derivatives of alpha and sigma.

    Args:
        make: builds the schedule, such as `lambda: Cosine(time_min=0.01, time_max=0.99)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    schedule = make()
    require(isinstance(schedule, NoiseSchedule), f"{type(schedule).__name__} is not a subclass of NoiseSchedule")
    low, high = schedule.time_min, schedule.time_max
    _check_alpha_sigma(schedule)
    _check_draw(schedule)
    levels = schedule.levels(7)
    ascending = levels.shape == (7,) and bool((levels.diff() > 0).all())
    within = bool(low <= levels[0]) and bool(levels[-1] <= high)
    require(ascending and within, "levels doesn't ascend from time_min to time_max")
    for num_steps in (2, 9):
        path = schedule.path(num_steps)
        descending = path.shape == (num_steps,) and bool((path.diff() < 0).all()) and path.dtype == torch.float64
        require(descending, f"path({num_steps}) isn't {num_steps} descending times in float64")
        ends = abs(path[0] - high) < 1e-6 and abs(path[-1] - low) < 1e-6
        require(bool(ends), "path doesn't run from time_max to time_min")


def _check_alpha_sigma(schedule: NoiseSchedule) -> None:
    for dtype in (torch.float32, torch.float64):
        time = torch.linspace(schedule.time_min, schedule.time_max, 101, dtype=dtype)
        for name, value in zip(("alpha", "sigma"), schedule.alpha_sigma(time), strict=True):
            require(value.shape == time.shape, f"{name} doesn't have the shape of the time")
            require(value.dtype == dtype, f"{name} is {value.dtype} at times of {dtype}")
            require(bool((value.isfinite() & (value >= 0)).all()), f"{name} isn't finite or is negative")
    alpha, sigma = schedule.alpha_sigma(time)
    require(bool((sigma > 0).all()), "sigma isn't above 0")
    ratio = (sigma / alpha).log()
    require(bool((ratio.diff() > 0).all()), "sigma / alpha doesn't grow with time")
    require(bool(ratio[0] < 0 < ratio[-1]), "sigma / alpha isn't below 1 at time_min and above 1 at time_max")
    inside, step = time[5:-5], 1e-6
    behind, ahead = (torch.stack(schedule.alpha_sigma(inside + sign * step)) for sign in (-1, 1))
    slopes, rates = (ahead - behind) / (2 * step), torch.stack(schedule.rates(inside))
    require(torch.allclose(rates, slopes, rtol=1e-4, atol=1e-5), "rates aren't the derivatives of alpha and sigma")


def _check_draw(schedule: NoiseSchedule) -> None:
    with global_generator_untouched("draw"):
        one, same, other = (schedule.draw(1000, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    require(one.shape == (1000,), f"draw(1000, generator) returns {tuple(one.shape)}, not (1000,)")
    require(torch.equal(one, same), "draw returns different times for the same generator seed")
    require(not torch.equal(one, other), "draw returns the same times for different generator seeds")
    slack = 1e-6
    within = (one >= schedule.time_min - slack) & (one <= schedule.time_max + slack)
    require(bool(within.all()), "draw returns times outside of time_min to time_max")
