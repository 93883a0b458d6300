"""What is drawn for a training step: all that the loss depends on besides the weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class TrainingBatch:
    """The samples of a step, one row each; objectives that draw more than images and labels extend it."""

    images: Float[Tensor, "batch channel *positions"]
    labels: Int[Tensor, " batch"]

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same batch with each of its tensors changed; what is None stays None."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})

    def tensors(self) -> Iterator[Tensor]:
        """The tensors, in the order of the fields."""
        for field in fields(self):
            if (value := getattr(self, field.name)) is not None:
                yield value
