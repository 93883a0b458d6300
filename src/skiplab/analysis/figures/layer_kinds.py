"""The kinds of layers, by the names that they have in their blocks: conv1, conv2, cond, stem."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from skiplab.analysis.figures.chart_values import BLOCK_MARK
from skiplab.analysis.figures.palette import KIND_COLORS
from skiplab.analysis.frames import column

_OTHER = "of another kind"


def is_in_block(values: pd.DataFrame) -> pd.Series:
    """Which values belong to layers of blocks."""
    return column(values, "path").str.contains(BLOCK_MARK, regex=False)


def has_layers(values: Sequence[pd.DataFrame]) -> bool:
    """Whether any of them belong to layers of blocks."""
    return any(is_in_block(own).any() for own in values)


def kind_colors(values: Sequence[pd.DataFrame]) -> dict[str, str]:
    """A color for each kind of layer, the most frequent first; of equally frequent ones, which the network has first.

    The rarest share the last color. None without layers.
    """
    if not has_layers(values):
        return {}
    counts = Counter(kind_of(path) for own in values for path in own["path"].unique())
    names = [name for name, _ in counts.most_common()]
    if len(names) > len(KIND_COLORS):
        names = [*names[: len(KIND_COLORS) - 1], _OTHER]
    return dict(zip(names, KIND_COLORS, strict=False))


def layer_kinds(values: pd.DataFrame, kinds: Mapping[str, str]) -> pd.Series:
    """The kind of each value's layer, among those that have a color."""
    return column(values, "path").map(kind_of).map(lambda kind: kind if kind in kinds else _OTHER)


def kind_of(path: str) -> str:
    """What a layer's path says last, numbers aside: `encoder.0.joins.1.branch.conv1` is a conv1, `head.2` a head."""
    own = path.rpartition(BLOCK_MARK)[2]
    return next((part for part in reversed(own.split(".")) if not part.isdigit()), own)
