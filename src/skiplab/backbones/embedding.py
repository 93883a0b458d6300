"""The conditioning vector of a denoiser: the noise level of its input, and its label if the network uses labels."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from skiplab.errors import SkiplabError


def check_multiplier(cond_multiplier: int) -> None:
    """Refuse a conditioning vector without features, which would hide the noise level from every block.

    Raises:
        SkiplabError: if cond_multiplier isn't a whole number from 1.
    """
    if not isinstance(cond_multiplier, int) or cond_multiplier < 1:
        raise SkiplabError(f"backbone.cond_multiplier={cond_multiplier} is invalid; valid: a whole number from 1")


class Sinusoids(nn.Module):
    """Sines and cosines of the noise level, [sin(w t), cos(w t)], w spaced geometrically from 1 to 1,000 per unit of t.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B (Transformer sinusoidal embedding).
    Differs from the source: t is continuous in [0, 1], not an integer from 1 to 1,000.

    Shapes: level (batch,) to (batch, num_features), num_features rounded down to an even number.
    """

    frequencies: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        half = num_features // 2
        exponents = torch.arange(half) / max(half - 1, 1)
        self.num_features = 2 * half
        self.register_buffer("frequencies", torch.exp(exponents * math.log(1000.0)), persistent=False)

    def forward(self, level: Float[Tensor, " batch"]) -> Float[Tensor, "batch features"]:
        angles = level[:, None] * self.frequencies[None, :]
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Embedding(nn.Module):
    """Two linear maps of the noise level's sinusoids, plus a vector per label: cond = W2 act(W1 s(t)) + v_label.

    Source: Ho et al. 2020, DDPM, arXiv:2006.11239, appendix B; the label's vector: Dhariwal and Nichol 2021,
        arXiv:2105.05233, section 3.1.
    Differs from the source: none.

    Shapes: level (batch,), labels (batch,), or None for unknown labels, to cond (batch, width).

    Args:
        width: features of the conditioning vector.
        num_features: number of sines and cosines of the noise level.
        num_labels: labels that the network is conditioned on, or 0; one more vector is for unknown labels.
        activation: between the linear maps.
    """

    def __init__(self, width: int, num_features: int, num_labels: int, activation: nn.Module) -> None:
        super().__init__()
        self.width, self.num_labels = width, num_labels
        self.sinusoids = Sinusoids(num_features)
        self.linear1 = nn.Linear(self.sinusoids.num_features, width)
        self.activation = activation
        self.linear2 = nn.Linear(width, width)
        if num_labels:
            self.label = nn.Embedding(num_labels + 1, width)

    def forward(
        self, level: Float[Tensor, " batch"], labels: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch cond"]:
        cond = self.linear2(self.activation(self.linear1(self.sinusoids(level))))
        if not self.num_labels:
            return cond
        known = torch.full_like(level, self.num_labels, dtype=torch.long) if labels is None else labels
        return cond + self.label(known)
