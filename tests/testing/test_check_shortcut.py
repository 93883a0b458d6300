"""The check of a shortcut fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch
from torch import nn

from skiplab.blocks.shortcuts.projection import Projection
from skiplab.blocks.shortcuts.zero_pad import ZeroPad
from skiplab.testing import check_shortcut


class KeepsTheResolution(ZeroPad):
    def subsample(self, x):
        return x


class NeverWidens(ZeroPad):
    def forward(self, x):
        return self.subsample(x)[:, : self.width_out]


class Noisy(ZeroPad):
    def forward(self, x):
        y = super().forward(x)
        return y + torch.randn_like(y)


class Overwriting(ZeroPad):
    def forward(self, x):
        with torch.no_grad():
            x.mul_(2)
        return super().forward(x)


class Detached(ZeroPad):
    def forward(self, x):
        return super().forward(x.detach()).requires_grad_()


class UnusedParameter(Projection):
    def __init__(self, *change):
        super().__init__(*change)
        self.spare = nn.Linear(2, 2)


class DrawnInTheConstructor(ZeroPad):
    def __init__(self, *change):
        super().__init__(*change)
        self.register_buffer("gain", torch.randn(1))


class NoShortcut(nn.Module):
    def __init__(self, *change):
        super().__init__()


BROKEN = {
    KeepsTheResolution: r"returns \(3, 8, 6, 6\), not \(3, 8, 3, 3\).*stride=2",
    NeverWidens: r"returns \(3, 6, 6, 6\), not \(3, 8, 6, 6\)",
    Noisy: "differs between calls",
    Overwriting: "the input is overwritten|between calls",
    Detached: "no gradient reaches input 0",
    UnusedParameter: "no gradient reaches parameter spare.weight",
    DrawnInTheConstructor: "changes the initial gain",
    NoShortcut: "not a subclass of Shortcut",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_shortcut_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_shortcut(broken)
