"""The check of data fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.data.gaussian_mixture import GaussianMixture
from skiplab.testing import check_dataset


def split(*shape: int, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    return Split(torch.rand(20, *shape, generator=generator) * 2 - 1, torch.arange(20) % 4)


class Sound(Dataset):
    num_classes = 4

    def __init__(self):
        self.train, self.val = split(1, 4, 4), split(1, 4, 4, seed=1)


class OtherShapes(Sound):
    def __init__(self):
        super().__init__()
        self.val = split(1, 4, 5)


class BeyondTheRange(Sound):
    def __init__(self):
        super().__init__()
        self.train.stored *= 2


class NotFinite(Sound):
    def __init__(self):
        super().__init__()
        self.val.stored[3, 0, 0, 0] = torch.nan


class DoublePrecision(Sound):
    def __init__(self):
        super().__init__()
        self.train.stored = self.train.stored.double()


class MoreLabels(Sound):
    num_classes = 3


class FewerLabels(Sound):
    def __init__(self):
        super().__init__()
        self.val.labels = self.val.labels[:-1]


class FloatLabels(Sound):
    def __init__(self):
        super().__init__()
        self.train.labels = self.train.labels.float()


class Empty(Sound):
    def __init__(self):
        super().__init__()
        self.val = Split(self.val.stored[:0], self.val.labels[:0])


class Global(Sound):
    def __init__(self):
        super().__init__()
        self.train.stored = torch.rand(20, 1, 4, 4)


class Different(Sound):
    made = 0

    def __init__(self):
        super().__init__()
        Different.made += 1
        self.train = split(1, 4, 4, seed=self.made)


class Denoised(GaussianMixture):
    def __init__(self, denoiser):
        super().__init__(layout="ring", num_modes=4, extent=0.8, spread=0.2, num_train=600, num_val=20, seed=0)
        exact = self.mixture.exact_denoiser
        self.exact_denoiser = lambda x_t, alpha, sigma: denoiser(exact(x_t, alpha, sigma), x_t, alpha)


BROKEN = {
    OtherShapes: r"shapes differ: \(1, 4, 4\) and \(1, 4, 5\)",
    BeyondTheRange: r"beyond \[-1, 1\] \(in train\)",
    NotFinite: r"samples aren't finite \(in val\)",
    DoublePrecision: "samples are torch.float64, not float32",
    MoreLabels: "labels run from 0 to 3, and num_classes is 3",
    FewerLabels: "there are 19 labels for 20 samples",
    FloatLabels: "labels are torch.float32, not int64",
    Empty: r"there are no samples \(in val\)",
    Global: "it draws from the global generator",
    Different: r"built twice, the samples differ \(in train\)",
    object: "object is not a subclass of Dataset",
}


def test_sound_data_pass() -> None:
    check_dataset(Sound)
    check_dataset(lambda: Denoised(lambda exact, x_t, alpha: exact))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_broken_data_fail_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_dataset(broken)


@pytest.mark.parametrize(
    ("denoiser", "sentence"),
    [
        (lambda exact, x_t, alpha: x_t / alpha, "hasn't no correlation with the estimate"),
        (lambda exact, x_t, alpha: 0.8 * exact, "correlation with the estimate"),
        (lambda exact, x_t, alpha: exact + 0.1, "hasn't mean 0"),
        (lambda exact, x_t, alpha: exact[:, :1], r"returns \(600, 1\), not \(600, 2\)"),
    ],
)
def test_a_wrong_denoiser_is_found_out(denoiser, sentence) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_dataset(lambda: Denoised(denoiser))
