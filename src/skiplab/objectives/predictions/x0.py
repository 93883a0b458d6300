import torch
from torch import Tensor

from skiplab.objectives.prediction import Prediction


class X0(Prediction):
    """The network predicts the clean image, target = x0.

    Source: Salimans and Ho 2022, Progressive Distillation, arXiv:2202.00512, section 4.
    Differs from the source: none.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(alpha), torch.zeros_like(sigma)
