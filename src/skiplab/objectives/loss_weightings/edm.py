from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.loss_weighting import LossWeighting


class EDM(LossWeighting):
    """The error of EDM's target has the same weight at every level; for the x0 error, with s = sigma / alpha,

        w = 1 / c_out^2 = (s^2 + sigma_data^2) / (s sigma_data)^2.

    Source: Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, table 1 and section 5 (lambda).
    Differs from the source: any schedule, through sigma / alpha; levels are drawn as in the source with
        `noise_schedule=log_normal`.

    Args:
        sigma_data: standard deviation of the data, above 0; the same as the prediction's, if that is edm.

    Raises:
        SkiplabError: if sigma_data isn't above 0.
    """

    def __init__(self, *, sigma_data: float) -> None:
        if not sigma_data > 0:
            raise SkiplabError(f"loss_weighting.sigma_data={sigma_data} is invalid; valid: a number above 0")
        self.sigma_data = sigma_data

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        s = sigma / alpha
        return (s.square() + self.sigma_data**2) / (s * self.sigma_data).square()
