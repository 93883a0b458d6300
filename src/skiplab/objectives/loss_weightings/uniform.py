import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.prediction import Prediction


class Uniform(LossWeighting):
    """Every noise level has weight 1 for the squared error of the network's output.

    It is the only weighting that differs between predictions when it is stated for the x0 error.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14 (L_simple, with the epsilon prediction).
    Differs from the source: none.
    """

    def of_output(self, prediction: Prediction, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        return torch.ones_like(alpha)
