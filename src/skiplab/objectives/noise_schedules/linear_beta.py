import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.errors import SkiplabError
from skiplab.objectives.noise_schedule import NoiseSchedule


class LinearBeta(NoiseSchedule):
    """Noise is added at a rate that grows linearly, beta(t) = beta_min + t (beta_max - beta_min).

        alpha = exp(-B / 2),  sigma = sqrt(1 - alpha^2),  B = beta_min t + (beta_max - beta_min) t^2 / 2

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, section 4 (betas of 1e-4 to 0.02 over 1,000 steps); the continuous
        form: Song et al. 2021, Score-Based Generative Modeling, arXiv:2011.13456, appendix C.
    Differs from the source: as in Song et al., exp(-beta_i) replaces 1 - beta_i, so that the last alpha is
        0.0066 where DDPM's is 0.0064.

    Args:
        time_min: smallest time, above 0.
        time_max: largest time, below 1.
        beta_min: rate at time 0, above 0; 1,000 times DDPM's first beta.
        beta_max: rate at time 1, at least beta_min; 1,000 times DDPM's last beta.

    Raises:
        SkiplabError: if the times or the rates are out of range.
    """

    def __init__(self, *, time_min: float, time_max: float, beta_min: float, beta_max: float) -> None:
        super().__init__(time_min=time_min, time_max=time_max)
        if not 0 < beta_min <= beta_max:
            raise SkiplabError(
                f"noise_schedule.beta_min={beta_min} and beta_max={beta_max} are invalid; "
                "valid: 0 < beta_min <= beta_max"
            )
        self.beta_min, self.beta_max = beta_min, beta_max

    def alpha_sigma(self, time: Float[Tensor, "*batch"]) -> tuple[Tensor, Tensor]:
        added = self.beta_min * time + (self.beta_max - self.beta_min) * time.square() / 2
        return torch.exp(-added / 2), torch.sqrt(-torch.expm1(-added))
