"""The check of a backbone fails on what is broken in one way, with a sentence that says how."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from skiplab.backbones.isotropic import Isotropic
from skiplab.blocks.connections.plain import Plain
from skiplab.errors import SkiplabError
from skiplab.testing import check_backbone


class Deaf(Isotropic):
    def forward(self, x, level=None, labels=None):
        return super().forward(x, None if level is None else torch.full_like(level, 0.5), labels)


class DeafToLabels(Isotropic):
    def forward(self, x, level=None, labels=None):
        return super().forward(x, level, None)


class HalfTheOutput(Isotropic):
    def forward(self, x, level=None, labels=None):
        return super().forward(x, level, labels)[:, :1]


class TakesDepthZero(Isotropic):
    def check_depth(self, *, multiple, least=None):
        return max(1, super().check_depth(multiple=multiple, least=least) if self.spec.depth else 1)


class TooShallow(Isotropic):
    def check_depth(self, *, multiple, least=None):
        if self.spec.depth < 2:
            raise SkiplabError("at least two blocks")
        return 1


class PlainHasMore(Isotropic):
    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        if spec.connection is Plain:
            self.extra = nn.Linear(2, 2)


class UnusedParameter(Isotropic):
    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        self.extra = nn.Linear(2, 2)


class Unconnected(Isotropic):
    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        for join in self.stage.joins:
            del join.connection


class WithoutBlocks(Isotropic):
    def __init__(self, spec, **settings):
        super().__init__(spec, **settings)
        self.stage = nn.Identity()


class BlindToChannels(Isotropic):
    """Built for other channels than the data have."""

    def __init__(self, spec, **settings):
        super().__init__(replace(spec, shape=(1, *spec.shape[1:])), **settings)


class RefusesAll(Isotropic):
    def __init__(self, spec, **settings):
        raise SkiplabError("not today")


BROKEN = {
    Deaf: "its answer doesn't depend on the noise level",
    DeafToLabels: "no gradient reaches parameter embedding.labels|doesn't depend on the label",
    HalfTheOutput: r"gives \(3, 1, 16, 16\), not \(3, 2, 16, 16\)",
    TakesDepthZero: "takes depth=0",
    TooShallow: "it has 1 blocks at depth=2",
    PlainHasMore: "plain and residual have other parameters",
    UnusedParameter: "no gradient reaches parameter extra.weight",
    Unconnected: "1 joins have no connection",
    WithoutBlocks: "it has no join",
    BlindToChannels: r"on images, denoising, depth=1, long_skip=none",
    RefusesAll: "refuses images and points at every depth from 1 to 24",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_backbone_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_backbone(lambda spec: broken(spec, cond_multiplier=2))
