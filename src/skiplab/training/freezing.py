"""Blocks that keep their initial weights while the rest of the network is trained."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from skiplab.errors import SkiplabError
from skiplab.layers import blocks


def num_frozen(num_blocks: int, share: float) -> int:
    """How many of the first blocks a share of them is, to the nearest.

    Raises:
        SkiplabError: where the share is below 0, or freezes all blocks, or none though it isn't 0.
    """
    found = round(share * num_blocks) if 0 <= share <= 1 else num_blocks
    if found >= num_blocks or (share > 0 and found == 0):
        raise SkiplabError(
            f"frozen_fraction={share} of {num_blocks} blocks is invalid; valid: 0, or a fraction that freezes one "
            f"and not all, such as {1 / num_blocks:.3g} to {(num_blocks - 1) / num_blocks:.3g}"
            if num_blocks > 1
            else f"frozen_fraction={share} is invalid; valid: 0, for there is one block"
        )
    return found


@contextmanager
def frozen(model: nn.Module, share: float) -> Iterator[None]:
    """The first blocks without gradients for their weights, connections' included; afterwards as they were."""
    found = blocks(model)
    parameters = [p for block in found[: num_frozen(len(found), share)] for p in block.parameters if p.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
