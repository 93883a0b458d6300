"""The contract of data."""

from collections.abc import Callable

import torch
from torch import Tensor

from skiplab.data.dataset import Dataset, Split
from skiplab.testing.rules import draw, global_generator_untouched, named, require

_MOST = 2048  # images per split that are checked
_LEVELS = ((0.9, 0.43), (0.6, 0.8))  # alpha and sigma at which an exact denoiser is checked
_STANDARD_ERRORS = 6


def check_dataset(make: Callable[[], Dataset]) -> None:
    """Check the contract of data.

    Both splits have labeled samples of one shape, which are float32, finite and within [-1, 1]; data with an exact
    denoiser may exceed this range. Labels are whole numbers below num_classes. Built twice, the data are equal; no
    global random state is used. If there is an exact denoiser, its residual x0 - D(x_t) has mean 0 and is uncorrelated
    with D(x_t), within 6 standard errors.

    Args:
        make: builds the data, such as `lambda: Digits(num_val=360, split_seed=0)`.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    with global_generator_untouched("it"):
        data, again = make(), make()
    require(isinstance(data, Dataset), f"{type(data).__name__} is not a subclass of Dataset")
    require(data.train.shape == data.val.shape, f"shapes differ: {data.train.shape} and {data.val.shape}")
    for name in ("train", "val"):
        with named(f"in {name}"):
            split, other = getattr(data, name), getattr(again, name)
            _check_split(split, data)
            same = torch.equal(split.first(_MOST).images, other.first(_MOST).images) and len(split) == len(other)
            require(same and torch.equal(split.labels, other.labels), "built twice, the samples differ")
    if data.exact_denoiser is not None:
        _check_exact_denoiser(data, data.exact_denoiser)


def _check_split(split: Split, data: Dataset) -> None:
    require(isinstance(split, Split), f"{type(split).__name__} is not a Split")
    require(len(split) > 0, "there are no samples")
    images, labels = split.first(_MOST)
    require(images.dtype == torch.float32, f"samples are {images.dtype}, not float32")
    require(bool(images.isfinite().all()), "samples aren't finite")
    reach = float(images.abs().max())
    require(data.exact_denoiser is not None or reach <= 1 + 1e-6, f"samples reach {reach:.3g}, beyond [-1, 1]")
    require(len(split.labels) == len(split), f"there are {len(split.labels)} labels for {len(split)} samples")
    require(labels.dtype == torch.int64, f"labels are {labels.dtype}, not int64")
    low, high = int(split.labels.min()), int(split.labels.max())
    valid = low >= 0 and high < data.num_classes
    require(valid, f"labels run from {low} to {high}, and num_classes is {data.num_classes}")


def _check_exact_denoiser(data: Dataset, exact_denoiser: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    x0 = data.train.first(_MOST).images.double()
    for level, (alpha, sigma) in enumerate(torch.tensor(_LEVELS, dtype=torch.float64)):
        x_t = alpha * x0 + sigma * draw(f"noise/{level}", *x0.shape).double()
        estimate = exact_denoiser(x_t, alpha, sigma)
        require(estimate.shape == x0.shape, f"exact_denoiser returns {tuple(estimate.shape)}, not {tuple(x0.shape)}")
        residual = x0 - estimate
        for name, product in (("mean 0", residual), ("no correlation with the estimate", residual * estimate)):
            per_sample = product.flatten(1).sum(dim=1)
            error = per_sample.std() / len(per_sample) ** 0.5
            holds = bool(per_sample.mean().abs() <= _STANDARD_ERRORS * error)
            require(holds, f"exact_denoiser isn't E[x0 | x_t]: x0 - D(x_t) hasn't {name} at sigma={sigma:.2g}")
