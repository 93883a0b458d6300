"""Blocks that keep their initial weights while the rest of the network is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from skiplab.errors import SkiplabError
from skiplab.layers import blocks


def num_frozen(num_blocks: int, fraction: float) -> int:
    """The number of blocks that a fraction of them is, rounded to the nearest.

    Raises:
        SkiplabError: if the fraction is below 0, freezes all blocks, or isn't 0 and freezes none.
    """
    found = round(fraction * num_blocks) if 0 <= fraction <= 1 else num_blocks
    if found >= num_blocks or (fraction > 0 and found == 0):
        raise SkiplabError(
            f"frozen_fraction={fraction} of {num_blocks} blocks is invalid; valid: 0, or a fraction that freezes at "
            f"least one block and not all, such as {1 / num_blocks:.3g} to {(num_blocks - 1) / num_blocks:.3g}"
            if num_blocks > 1
            else f"frozen_fraction={fraction} is invalid; valid: 0, because there is only one block"
        )
    return found


@contextmanager
def frozen(model: nn.Module, fraction: float) -> Iterator[None]:
    """Freeze the weights of the first blocks, with their connections, during the block of code."""
    found = blocks(model)
    parameters = [p for block in found[: num_frozen(len(found), fraction)] for p in block.parameters if p.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
