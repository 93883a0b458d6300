"""The check of a norm fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch
from torch import nn

from skiplab.testing import check_norm


class OverTheBatch(nn.Module):
    def __init__(self, width):
        super().__init__()

    def forward(self, x):
        return x - x.mean(dim=0, keepdim=True)


class WithoutEpsilon(OverTheBatch):
    def forward(self, x):
        spread = x.std(dim=1, keepdim=True)
        return (x - x.mean(dim=1, keepdim=True)) / spread


class InfiniteInTraining(OverTheBatch):
    def forward(self, x):
        return x / 0 if self.training else x


class OneChannel(OverTheBatch):
    def forward(self, x):
        return x[:, :1]


class ImagesOnly(nn.BatchNorm2d):
    pass


class NoReset(OverTheBatch):
    def __init__(self, width):
        super().__init__(width)
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.gain * x


BROKEN = {
    OverTheBatch: "its output for a sample depends on the other samples",
    WithoutEpsilon: "its output isn't finite for a constant stream",
    InfiniteInTraining: "its output isn't finite in training",
    OneChannel: r"returns \(3, 1, 4, 4\), not \(3, 24, 4, 4\)",
    ImagesOnly: r"expected 4D input.*on tokens",
    NoReset: "no reset_parameters",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_norm_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_norm(broken)


def test_what_is_no_module_is_named() -> None:
    with pytest.raises(AssertionError, match="is not a module"):
        check_norm(lambda width: abs)
