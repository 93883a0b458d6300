from typing import Literal

import torch
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.prediction import Prediction


class EDM(Prediction):
    """A skip around the network, x0 = c_skip x + c_out F(c_in x), with x = x_t / alpha of noise s = sigma / alpha.

        c_skip = sigma_data^2 / (s^2 + sigma_data^2), or a constant
        c_out^2 = (1 - c_skip)^2 sigma_data^2 + c_skip^2 s^2,  c_in = 1 / sqrt(s^2 + sigma_data^2)

    c_out follows from c_skip so that the network's target has variance 1 in every variant; c_in gives its input
    variance 1. With c_skip 0 the network predicts the whole image, with c_skip 1 the increment.

    Source: Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364, appendix B.6, eq. 117 to 138.
    Differs from the source: any schedule, through x_t / alpha; the network reads the time, not log(s) / 4.

    Args:
        sigma_data: standard deviation of the data, above 0.
        c_skip: 'edm' for the source's choice, or a number.

    Raises:
        SkiplabError: if sigma_data isn't above 0, or c_skip is neither 'edm' nor a number.
    """

    def __init__(self, *, sigma_data: float, c_skip: Literal["edm"] | float) -> None:
        if not sigma_data > 0:
            raise SkiplabError(f"prediction.sigma_data={sigma_data} is invalid; valid: a number above 0")
        if c_skip != "edm" and not isinstance(c_skip, int | float):
            raise SkiplabError(f"prediction.c_skip={c_skip} is invalid; valid: edm, or a number such as 0 or 1")
        self.sigma_data = sigma_data
        self.c_skip = None if isinstance(c_skip, str) else c_skip

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return 1 / (alpha * torch.sqrt((sigma / alpha).square() + self.sigma_data**2))

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        s, variance = sigma / alpha, self.sigma_data**2
        c_skip = torch.full_like(s, self.c_skip) if self.c_skip is not None else variance / (s.square() + variance)
        c_out = torch.sqrt((1 - c_skip).square() * variance + (c_skip * s).square())
        return (1 - c_skip) / c_out, -c_skip * s / c_out
