from jaxtyping import Int
from torch import Tensor

from skiplab.objectives.conditioning import Conditioning


class NoConditioning(Conditioning):
    """The network reads the noise level alone.

    Source: none.
    Differs from the source: none.
    """

    def num_labels(self, num_classes: int) -> int:
        return 0

    def input_labels(self, labels: Int[Tensor, " batch"] | None) -> None:
        return None
