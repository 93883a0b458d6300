import torch
from torch import Tensor

from skiplab.objectives.prediction import Prediction


class Flow(Prediction):
    """The network predicts the direction from data to noise, target = noise - x0.

    Source: Liu et al. 2022, Rectified Flow, arXiv:2209.03003, eq. 1 (from memory); Lipman et al. 2022,
        arXiv:2210.02747, eq. 23 (from memory).
    Differs from the source: time runs from data to noise; with `noise_schedule=straight` the target is dx_t / dt.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(alpha), torch.ones_like(sigma)
