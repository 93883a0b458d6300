from torch import Tensor

from skiplab.objectives.prediction import Prediction


class Velocity(Prediction):
    """The network predicts the velocity along the path of noise, target = alpha noise - sigma x0.

    Source: Salimans and Ho 2022, Progressive Distillation, arXiv:2202.00512, section 4 and appendix D.
    Differs from the source: none.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -sigma, alpha
