"""The contract of a long skip."""

from collections.abc import Callable

import torch

from skiplab.blocks.long_skip import LongSkip
from skiplab.errors import SkiplabError
from skiplab.testing.rules import BATCH, POSITIONS, check_initialisation, check_passes, draw, named, require


def check_long_skip(make: Callable[[int, int], LongSkip]) -> None:
    """Hold a long skip to its contract, for an encoder of the decoder's width and of another one.

    It gives `width_out` channels at the stream's resolution, finite and deterministic; inputs aren't overwritten;
    gradients reach the stream, every parameter and, where it `bridges`, the skip, which is otherwise not read; its
    initial weights depend on (seed, path) alone. Unequal widths may be refused with a SkiplabError.

    Args:
        make: builds the long skip for the widths of stream and skip, such as the class.

    Raises:
        AssertionError: with a sentence that says which rule is broken.
    """
    for width_stream, width_skip in ((6, 6), (6, 4)):
        for kind, positions in POSITIONS.items():
            with named(f"on {kind}, width_stream={width_stream}, width_skip={width_skip}"):
                try:
                    long_skip = make(width_stream, width_skip)
                except SkiplabError:
                    require(width_stream != width_skip, "refuses a stream and a skip of equal widths")
                    continue
                require(isinstance(long_skip, LongSkip), f"{type(long_skip).__name__} is no subclass of LongSkip")
                stream, skip = (draw(f"{width}", BATCH, width, *positions) for width in (width_stream, width_skip))
                expected = (BATCH, long_skip.width_out, *positions)
                if long_skip.bridges:
                    check_passes(long_skip, [stream, skip], expected=expected)
                else:
                    answer = check_passes(long_skip, [stream], [skip], expected=expected)
                    blind = torch.equal(answer, long_skip(stream, skip + 1).detach())
                    require(blind, "bridges is False, and what it gives depends on the skip")
                check_initialisation(lambda widths=(width_stream, width_skip): make(*widths))
