"""The contract of a long skip."""

from collections.abc import Callable

import torch

from skiplab.blocks.long_skip import LongSkip
from skiplab.errors import SkiplabError
from skiplab.testing.rules import BATCH, POSITIONS, check_initialization, check_passes, draw, named, require


def check_long_skip(make: Callable[[int, int], LongSkip]) -> None:
    """Check the contract of a long skip, for an encoder of the decoder's width and of another width.

    The output has `width_out` channels at the stream's resolution, and is finite and deterministic. Inputs aren't
    overwritten. Gradients reach the stream, every parameter and, if it `reads_encoder`, the skip; otherwise the output
    is independent of the skip. Initial weights depend on (seed, path) alone. Unequal widths may be refused with a
    SkiplabError.

    Args:
        make: builds the long skip for the widths of stream and skip, such as the class.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    for width_stream, width_skip in ((6, 6), (6, 4)):
        for kind, positions in POSITIONS.items():
            with named(f"on {kind}, width_stream={width_stream}, width_skip={width_skip}"):
                try:
                    long_skip = make(width_stream, width_skip)
                except SkiplabError:
                    require(width_stream != width_skip, "it refuses a stream and a skip of equal widths")
                    continue
                require(isinstance(long_skip, LongSkip), f"{type(long_skip).__name__} is not a subclass of LongSkip")
                stream, skip = (draw(f"{width}", BATCH, width, *positions) for width in (width_stream, width_skip))
                expected = (BATCH, long_skip.width_out, *positions)
                if long_skip.reads_encoder:
                    check_passes(long_skip, [stream, skip], expected=expected)
                else:
                    answer = check_passes(long_skip, [stream], [skip], expected=expected)
                    blind = torch.equal(answer, long_skip(stream, skip + 1).detach())
                    require(blind, "reads_encoder is False, and the result depends on the skip")
                check_initialization(lambda widths=(width_stream, width_skip): make(*widths))
