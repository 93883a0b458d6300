"""The levels of a U-Net: how wide each is, and what images they can halve."""

from collections.abc import Sequence

from skiplab.blocks.specification import NetworkSpec
from skiplab.errors import SkiplabError


def level_widths(spec: NetworkSpec, channel_multipliers: Sequence[int]) -> list[int]:
    """Channels of each level, from the highest resolution, each half that of the level before.

    Raises:
        SkiplabError: where a multiplier isn't a whole number from 1, or an image can't be halved that often.
    """
    if not channel_multipliers or any(m < 1 for m in channel_multipliers):
        raise SkiplabError(
            f"backbone.channel_multipliers={list(channel_multipliers)} is invalid; valid: one whole number "
            "from 1 for each level, such as [1, 2]"
        )
    multiple = 2 ** (len(channel_multipliers) - 1)
    if any(side % multiple for side in spec.sides):
        raise SkiplabError(
            f"backbone.channel_multipliers={list(channel_multipliers)}, of {len(channel_multipliers)} levels, needs "
            f"sides divisible by {multiple}, and the images have {spec.sides}; valid: fewer levels"
        )
    return [spec.width * multiplier for multiplier in channel_multipliers]
