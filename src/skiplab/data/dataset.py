"""The interface of a data set: fixed training and validation images."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

_HASHED_AT_ONCE = 4096  # images


class Batch(NamedTuple):
    """Images in [-1, 1] (points of the plane are images of two channels without positions), and their labels."""

    images: Float[Tensor, "sample channel *positions"]
    labels: Int[Tensor, " sample"]


class Split:
    """Labelled images as they are stored: floating point in [-1, 1], or bytes of 0 to 255, x = byte / 127.5 - 1.

    Bytes may be mapped from a file larger than memory; `at` turns them into images.

    Args:
        stored: images (sample, channel, *positions), float32 or uint8.
        labels: their classes (sample,).
        mapped: whether `stored` is mapped from a file; it then stays there, whatever the device.
        device: where images and labels are returned; None for the device of `stored`.
    """

    def __init__(
        self,
        stored: Float[Tensor, "sample channel *positions"] | Int[Tensor, "sample channel *positions"],
        labels: Int[Tensor, " sample"],
        *,
        mapped: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        self.stored, self.labels, self.mapped = stored, labels, mapped
        self.device = stored.device if device is None else torch.device(device)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image, (channel, *positions)."""
        return tuple(self.stored.shape[1:])

    def at(self, which: Tensor | slice) -> Batch:
        """The images and labels of some indices, on the split's device."""
        which = _sent(which, self.stored.device) if isinstance(which, Tensor) else which
        stored, labels = _sent(self.stored[which], self.device), _sent(self.labels[which], self.device)
        return Batch(stored.float() / 127.5 - 1 if stored.dtype == torch.uint8 else stored, labels)

    def first(self, count: int) -> Batch:
        """The first `count` images and labels, or all if there are fewer."""
        return self.at(slice(count))

    def batches(self, size: int) -> Iterator[Batch]:
        """Everything, in order."""
        return (self.at(slice(start, start + size)) for start in range(0, len(self), size))

    @cached_property
    def content_hash(self) -> str:
        """Hash of the images as they are stored, with their shape and type."""
        digest = hashlib.sha256(f"{tuple(self.stored.shape)} {self.stored.dtype}".encode())
        for part in self.stored.split(_HASHED_AT_ONCE):
            digest.update(part.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "Split":
        """The same split on a device. Images that are mapped from a file stay there; their batches go to the device."""
        if self.mapped:
            return Split(self.stored, self.labels, mapped=True, device=device)
        return Split(self.stored.to(device), self.labels.to(device))


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a copy to a GPU doesn't wait for the GPU's earlier work."""
    if device.type == "cuda" and not tensor.is_cuda:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Dataset:
    """A fixed training and validation split.

    num_classes: the number of labels.
    derived: settings that were null and follow from the data, such as num_val; they are recorded.
    exact_denoiser: E[x0 | x_t] in closed form if it is known, from (x_t, alpha, sigma) to x0, all
        (batch, channel, *positions) or broadcast to it; else None.
    """

    num_classes: int
    train: Split
    val: Split
    derived: Mapping[str, Any] = MappingProxyType({})
    exact_denoiser: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None

    def to(self, device: torch.device | str) -> "Dataset":
        """Move both splits to a device."""
        self.train, self.val = self.train.to(device), self.val.to(device)
        return self
