"""The Frechet distance of 2,048 features against the textbook's `scipy.linalg.sqrtm`: in turns, on one thread.

    python benchmarks/frechet.py ROUNDS

Both are given the reference's moments and the samples' features.
"""

import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from judged import judged
from torch import Tensor

from skiplab.evaluators.features.reference_moments import ReferenceMoments
from skiplab.evaluators.frechet_distance import frechet_distance

NUM_FEATURES, NUM_IMAGES = 2048, 4096
TARGET = 3.0  # times as fast
CLOSE = 1e-6  # relative


def features(seed: int) -> Tensor:
    """Correlated ones, whose variances fall off as those of Inception's do."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(NUM_FEATURES, NUM_FEATURES, generator=generator, dtype=torch.float64)
    scales = torch.logspace(0, -2, NUM_FEATURES, dtype=torch.float64)
    drawn = torch.randn(NUM_IMAGES, NUM_FEATURES, generator=generator, dtype=torch.float64)
    return drawn * scales @ mixed / NUM_FEATURES**0.5 + 0.1 * seed


def by_sqrtm(reference: ReferenceMoments, samples: Tensor) -> float:
    own, other = reference.covariance.numpy(), np.cov(samples.numpy(), rowvar=False)
    difference = (reference.mean - samples.mean(dim=0)).numpy()
    root = scipy.linalg.sqrtm(own @ other)
    return float(difference @ difference + np.trace(own + other) - 2 * np.trace(root).real)


def timed(function: Callable[[ReferenceMoments, Tensor], float], *given) -> tuple[float, float]:
    started = time.process_time()
    value = function(*given)
    return value, time.process_time() - started


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    real, samples = features(1), features(2)
    reference = ReferenceMoments(torch.tensor(len(real)), real.sum(dim=0), real.T @ real)
    ratios, values = [], (0.0, 0.0)
    for _ in range(rounds):
        (own, seconds), (textbook, textbook_seconds) = (
            timed(function, reference, samples) for function in (frechet_distance, by_sqrtm)
        )
        ratios.append(textbook_seconds / seconds)
        values = own, textbook
    own, textbook = values
    print(f"{platform.machine()}, torch {torch.__version__}, SciPy {scipy.__version__}; one thread, {rounds} rounds")
    print(f"{own:.9g} against {textbook:.9g} by sqrtm: {abs(own / textbook - 1):.1e} apart")
    if judged("sqrtm's time over ours", ratios, at_least=TARGET) or abs(own / textbook - 1) > CLOSE:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
