"""What the page has to know of a figure's parts: the cell and the arm that a panel, a line or a bar shows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.container import Container

_NAME = "skiplab_mark"  # the attribute of an artist that holds its mark


class Mark(NamedTuple):
    """cell: factors and levels; arm: '' where it belongs to none; texts: what its points say, one each, or none."""

    cell: Mapping[str, Any]
    arm: str
    texts: Sequence[str]


def mark(
    shown_by: Artist | Container, *, cell: Mapping[str, Any] | None = None, arm: str = "", texts: Sequence[str] = ()
) -> None:
    """Say what an artist or a container of artists shows; files written of the figure stay the same.

    texts: of the artist's points, or of those of the container's first artist.
    """
    artists = shown_by.get_children() if isinstance(shown_by, Container) else []
    for position, one in enumerate([shown_by, *artists]):
        setattr(one, _NAME, Mark(cell or {}, arm, texts if position < 2 else ()))


def mark_of(artist: Any) -> Mark | None:
    """What an artist shows; None where nothing has been said."""
    return getattr(artist, _NAME, None)
