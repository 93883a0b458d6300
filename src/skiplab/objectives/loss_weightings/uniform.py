import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.prediction import Prediction


class Uniform(LossWeighting):
    """Every noise level weighs the same in the network's own units, 1 for the squared error of the output.

    So it is the one weighting that means something else for each prediction.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14 (L_simple, with the epsilon prediction).
    Differs from the source: none.
    """

    def of_output(self, prediction: Prediction, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        return torch.ones_like(alpha)
