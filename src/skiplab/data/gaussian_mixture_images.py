import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.data.dataset import Dataset
from skiplab.data.mixture import Mixture
from skiplab.data.scikit_learn_files import read_digits
from skiplab.errors import SkiplabError

_MAX_RANK = 32  # leaves each digit a spread of 0.05 or more


class GaussianMixtureImages(Dataset):
    """Digit-like images from ten equally likely Gaussians, one for each digit, whose optimal denoiser is known.

        x0 = m_k + U_k diag(v_k)^(1/2) z + s_k noise,  s_k^2 = mean of the smallest 64 - rank eigenvalues,

    with m_k the mean of the digits of class k (pixels in [-1, 1]), U_k its `rank` principal axes and
    v_k = eigenvalue - s_k^2. Rank 0 is isotropic. Pixels lie roughly in [-1, 1], and aren't clipped, since clipped
    images would have no closed form.

    Source: Tipping and Bishop 1999, Mixtures of Probabilistic Principal Component Analysers, Neural Computation 11,
        the maximum-likelihood solution, for each class of `sklearn.datasets.load_digits`.
    Differs from the source: the classes are given, and equally likely; data are drawn from the fit.

    Shapes: images (sample, 1, 8, 8), labels (sample,) of 0 to 9.

    Args:
        rank: principal axes of a mode, 0 to 32; with many more, no spread is left in the other directions, since some
            pixels of a digit are always black.
        num_train: training images, from 1.
        num_val: validation images, from 1.
        seed: of the images; the same for every trial of a study.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    num_classes = 10

    def __init__(self, *, rank: int, num_train: int, num_val: int, seed: int) -> None:
        if not 0 <= rank <= _MAX_RANK:
            raise SkiplabError(f"data.rank={rank} is invalid; valid: 0 to {_MAX_RANK}")
        for name, value in (("num_train", num_train), ("num_val", num_val)):
            if value < 1:
                raise SkiplabError(f"data.{name}={value} is invalid; valid: from 1")
        images, digits = read_digits()
        pixels, labels = torch.from_numpy(images).flatten(1) / 8 - 1, torch.from_numpy(digits)
        fits = [fit(pixels[labels == label], rank) for label in range(self.num_classes)]
        self.mixture = Mixture(*(torch.stack(part) for part in zip(*fits, strict=True)))
        self.exact_denoiser = self.mixture.exact_denoiser
        generator = torch.Generator().manual_seed(seed)
        self.train = self.mixture.draw(num_train, (1, 8, 8), generator)
        self.val = self.mixture.draw(num_val, (1, 8, 8), generator)


def fit(pixels: Float[Tensor, "sample dimension"], rank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, spread, axes and their variances above the spread's of the likeliest Gaussian of this rank."""
    values, vectors = torch.linalg.eigh(torch.cov(pixels.T, correction=0))  # from the smallest on
    num_rest = len(values) - rank
    floor = values[:num_rest].mean()
    return pixels.mean(dim=0), floor.sqrt(), vectors[:, num_rest:], values[num_rest:] - floor
