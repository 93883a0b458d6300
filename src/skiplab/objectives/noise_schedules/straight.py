from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.noise_schedule import NoiseSchedule


class Straight(NoiseSchedule):
    """A straight line from data to noise, alpha = 1 - t, sigma = t.

    Source: Liu et al. 2022, Rectified Flow, arXiv:2209.03003, section 2.1 (from memory).
    Differs from the source: time runs from data to noise.
    """

    def alpha_sigma(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        return 1 - time, time
