import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.loss_weighting import LossWeighting


class TruncatedSNR(LossWeighting):
    """The larger of the x0 error and the noise error: for the x0 error, w = max(alpha^2 / sigma^2, 1).

    Source: Salimans and Ho 2022, Progressive Distillation, arXiv:2202.00512, section 4.
    Differs from the source: none.
    """

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        return torch.clamp((alpha / sigma).square(), min=1.0)
