"""Which elements of a memory a tensor consists of."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_MOST_ELEMENTS = 1 << 20


class Region(NamedTuple):
    """The elements of a tensor in the memory that it shares with its views."""

    memory: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> "Region":
        if tensor.layout is not torch.strided or tensor.is_nested:
            return cls(id(tensor), 0, (), ())
        memory = tensor.untyped_storage()._cdata
        return cls(memory, int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride())

    @property
    def num_elements(self) -> int:
        """Number of different elements, of which an expanded tensor repeats some."""
        return int(np.prod([size for size, stride in zip(self.shape, self.strides, strict=True) if stride]))

    def overlaps(self, other: "Region") -> bool:
        """Whether they share elements; true where they are too large to look."""
        if self.memory != other.memory:
            return False
        if self == other or max(self.num_elements, other.num_elements) > _MOST_ELEMENTS:
            return True
        return bool(np.intersect1d(self._elements(), other._elements()).size)

    def covers(self, other: "Region") -> bool:
        """Whether it has all elements of another; false where they are too large to look, unless they are equal."""
        if self == other or self.memory != other.memory:
            return self == other
        if max(self.num_elements, other.num_elements) > _MOST_ELEMENTS:
            return False
        return bool(np.isin(other._elements(), self._elements()).all())

    def _elements(self) -> np.ndarray:
        elements = np.array([self.offset])
        for size, stride in zip(self.shape, self.strides, strict=True):
            if stride:
                elements = np.add.outer(elements, stride * np.arange(size)).ravel()
        return elements
