"""The readings of a step as rows of a table."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from skiplab.instruments.instrument import Place, Reading


class Row(NamedTuple):
    """One row of layers.csv. number: the index of its place."""

    step: int
    number: int
    path: str
    quantity: str
    value: float


def reading_rows(
    step: int, readings: Sequence[Reading], index_of: Callable[[Place], int] = lambda place: place.index
) -> list[Row]:
    """The rows of a step's readings; all values are fetched from the device in one transfer.

    index_of: the number of a place, by default its own.
    """
    values = [value for reading in readings for value in reading.values]
    if not values:
        return []
    cells = [(reading.quantity, place) for reading in readings for place in reading.places]
    found = torch.stack(values).cpu().tolist()
    return [
        Row(step, index_of(place), place.path, quantity, value)
        for (quantity, place), value in zip(cells, found, strict=True)
    ]
