import torch
from torch import Tensor

from skiplab.objectives.prediction import Prediction


class Epsilon(Prediction):
    """The network predicts the noise, target = noise.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 12.
    Differs from the source: none.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(alpha), torch.ones_like(sigma)
