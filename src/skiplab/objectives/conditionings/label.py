import torch
from jaxtyping import Int
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.conditioning import Conditioning


class Label(Conditioning):
    """The network reads the class, which is replaced by 'unknown' with probability `dropout`.

    So one network learns both p(x | class) and p(x), as classifier-free guidance needs.

    Source: Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598, algorithm 1 (p_uncond, from
        memory).
    Differs from the source: none.

    Args:
        dropout: fraction of training images whose class is withheld, at least 0 and below 1.

    Raises:
        SkiplabError: if dropout is out of range.
    """

    def __init__(self, *, dropout: float) -> None:
        if not 0 <= dropout < 1:
            raise SkiplabError(f"conditioning.dropout={dropout} is invalid; valid: a number of at least 0 and below 1")
        self.dropout = dropout

    def num_labels(self, num_classes: int) -> int:
        return num_classes

    def input_labels(self, labels: Int[Tensor, " batch"] | None) -> Int[Tensor, " batch"] | None:
        return labels

    def training_labels(
        self, labels: Int[Tensor, " batch"], num_classes: int, generator: torch.Generator
    ) -> Int[Tensor, " batch"]:
        withheld = torch.rand(len(labels), generator=generator, device=labels.device) < self.dropout
        return torch.where(withheld, num_classes, labels)
