"""The check of a long skip fails on what is broken in one way, with a sentence that says how."""

import pytest
import torch
from torch import nn

from skiplab.blocks.long_skips.add import Add
from skiplab.blocks.long_skips.concat import Concat
from skiplab.blocks.long_skips.none import NoLongSkip
from skiplab.errors import SkiplabError
from skiplab.testing import check_long_skip


class WrongWidth(Concat):
    def __init__(self, width_stream, width_skip):
        super().__init__(width_stream, width_skip)
        self.width_out = width_stream


class SaysNoBridge(Add):
    reads_encoder = False


class SaysBridge(NoLongSkip):
    reads_encoder = True


class ImagesOnly(Concat):
    def forward(self, stream, skip):
        return super().forward(stream, skip + torch.zeros(1, 1, 4, 4))


class RefusesAll(Concat):
    def __init__(self, width_stream, width_skip):
        raise SkiplabError("not today")


class NoLongSkipAtAll(nn.Identity):
    def __init__(self, width_stream, width_skip):
        super().__init__()


BROKEN = {
    WrongWidth: r"returns \(3, 12, 4, 4\), not \(3, 6, 4, 4\)",
    SaysNoBridge: "reads_encoder is False, and the result depends on the skip",
    SaysBridge: "no gradient reaches input 1",
    ImagesOnly: r"\(on (tokens|points),",
    RefusesAll: "refuses a stream and a skip of equal widths",
    NoLongSkipAtAll: "not a subclass of LongSkip",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_long_skip_fails_with_a_sentence_that_says_how(broken) -> None:
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_long_skip(broken)
