import math

from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule


class Cosine(NoiseSchedule):
    """A quarter turn from signal to noise, alpha = cos(pi t / 2), sigma = sin(pi t / 2).

    Source: Salimans and Ho 2022, arXiv:2202.00512, section 4 (continuous form of Nichol and Dhariwal 2021,
        arXiv:2102.09672, eq. 17, from memory).
    Differs from the source: none; Nichol and Dhariwal shift t by 0.008.
    """

    def alpha_sigma(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        angle = time * (math.pi / 2)
        return angle.cos(), angle.sin()
