from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.loss_weighting import LossWeighting


class SNR(LossWeighting):
    """The noise error has the same weight at every level: for the x0 error, w = alpha^2 / sigma^2.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, eq. 14; as a weight of the x0 error: Salimans and Ho 2022,
        Progressive Distillation, arXiv:2202.00512, section 4.
    Differs from the source: none.
    """

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        return (alpha / sigma).square()
