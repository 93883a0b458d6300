"""The cell and the arm that a part of a figure shows, a panel, line or bar, so that the page can hide it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.container import Container

_NAME = "skiplab_mark"  # the attribute of an artist that holds its mark


class Mark(NamedTuple):
    """cell: factors and levels. arm: '' for no arm. texts: the tooltip of each point, or none."""

    cell: Mapping[str, Any]
    arm: str
    texts: Sequence[str]


def mark(
    shown_by: Artist | Container, *, cell: Mapping[str, Any] | None = None, arm: str = "", texts: Sequence[str] = ()
) -> None:
    """Note which cell and arm an artist, or each artist of a container, shows; the figure's files don't change.

    texts: of the artist's points, or of those of the container's first artist.
    """
    artists = shown_by.get_children() if isinstance(shown_by, Container) else []
    for position, one in enumerate([shown_by, *artists]):
        setattr(one, _NAME, Mark(cell or {}, arm, texts if position < 2 else ()))


def mark_of(artist: Any) -> Mark | None:
    """The cell and arm that an artist shows; None if it isn't marked."""
    return getattr(artist, _NAME, None)
