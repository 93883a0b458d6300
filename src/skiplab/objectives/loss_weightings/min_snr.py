import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.loss_weighting import LossWeighting


class MinSNR(LossWeighting):
    """The weight of the x0 error is the SNR, at most gamma: w = min(SNR, gamma), SNR = alpha^2 / sigma^2.

    For the noise error that is min(SNR, gamma) / SNR, for the velocity error min(SNR, gamma) / (SNR + 1).

    Source: Hang et al. 2023, Min-SNR Weighting, arXiv:2303.09556, section 3 (of the x0 error, from memory).
    Differs from the source: none.

    Args:
        gamma: the upper bound of the signal-to-noise ratio, above 0.

    Raises:
        SkiplabError: if gamma isn't above 0.
    """

    def __init__(self, *, gamma: float) -> None:
        if not gamma > 0:
            raise SkiplabError(f"loss_weighting.gamma={gamma} is invalid; valid: a number above 0")
        self.gamma = gamma

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        return torch.clamp((alpha / sigma).square(), max=self.gamma)
