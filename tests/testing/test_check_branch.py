"""The check of a branch fails on what is broken in one way, with a sentence that says how."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from skiplab.blocks.branch import Branch
from skiplab.blocks.branches.preact import Preact
from skiplab.errors import SkiplabError
from skiplab.testing import check_branch


class Adds(Preact):
    def forward(self, x, cond):
        update = super().forward(x, cond)
        return update + x if update.shape == x.shape else update


class Strideless(Preact):
    def forward(self, x, cond):
        return nn.functional.interpolate(super().forward(x, cond), x.shape[2:])


class Unconditioned(Preact):
    def forward(self, x, cond):
        return super().forward(x, None if cond is None else torch.zeros_like(cond))


class Saturated(Preact):
    def forward(self, x, cond):
        return super().forward(x, cond).sign()


class Noisy(Preact):
    def forward(self, x, cond):
        update = super().forward(x, cond)
        return update + torch.randn_like(update)


class LastIsFirst(Preact):
    @property
    def last(self):
        return self.conv1


class LastIsElsewhere(Preact):
    @property
    def last(self):
        return nn.Linear(2, 2)


class WithoutLast(Preact):
    @property
    def last(self):
        return Branch.last.fget(self)


class SaysTokens(Preact):
    position_dims = (1, 2)


class RefusesTokens(SaysTokens):
    def __init__(self, spec, **settings):
        if spec.position_dims == 1:
            raise SkiplabError("images alone")
        super().__init__(spec, **settings)


class RefusesAll(Preact):
    def __init__(self, spec, **settings):
        raise SkiplabError("not today")


class NormAfterJoin(Preact):
    """A norm after the join, of whose update nothing passes."""

    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        self.activation_after_join = nn.Sequential(spec.norm(spec.width_out), Zero())


class Zero(nn.Module):
    def forward(self, x):
        return 0 * x


class WithoutParts(Preact):
    def parts(self):
        return []


BROKEN_BRANCHES = {
    Adds: "a branch never adds",
    Strideless: r"not \(3, 24, 4, 4\)",
    Unconditioned: "no gradient reaches the conditioning",
    Saturated: "no gradient reaches the input",
    Noisy: "another update for the same input",
    LastIsFirst: r"isn't zero with the parameters of last \(Conv2d\) at zero",
    LastIsElsewhere: "last of part 0 is no module of the branch",
    WithoutLast: "must define the property last",
    SaysTokens: r"\(with position_dims=1,",
    RefusesTokens: r"takes streams of \[2\] position axes, and position_dims names \[1, 2\]",
    RefusesAll: "refuses the specification of a block inside a stage, of images, tokens and points: not today",
    NormAfterJoin: "no gradient reaches the input",
    WithoutParts: r"parts\(\) is empty",
}


@pytest.mark.parametrize("broken", BROKEN_BRANCHES, ids=lambda broken: broken.__name__)
def test_a_broken_branch_fails_with_a_sentence_that_says_how(broken: Callable) -> None:
    with pytest.raises(AssertionError, match=BROKEN_BRANCHES[broken]):
        check_branch(lambda spec: broken(spec, kernel_size=3, bias=True))
