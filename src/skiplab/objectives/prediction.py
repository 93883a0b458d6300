"""The interface of a prediction: what the network predicts from a noisy image."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Estimate(NamedTuple):
    """The clean image and the noise that a network's output implies."""

    x0: Tensor
    noise: Tensor


class Prediction:
    """The target is a linear combination of the clean image and the noise, target = a x0 + b noise.

    With x_t = alpha x0 + sigma noise, an output therefore implies
        x0 = (b x_t - sigma output) / (alpha b - sigma a),  noise = (alpha output - a x_t) / (alpha b - sigma a),
    so that a prediction only has to define a and b.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """a and b at each noise level."""
        raise NotImplementedError(f"{type(self).__name__} must define coefficients(alpha, sigma)")

    def input_scale(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The factor by which x_t is multiplied before the network reads it; 1 by default."""
        return torch.ones_like(alpha)

    def target(
        self, x0: Float[Tensor, " batch *shape"], noise: Float[Tensor, " batch *shape"], alpha: Tensor, sigma: Tensor
    ) -> Float[Tensor, " batch *shape"]:
        a, b = self.coefficients(alpha, sigma)
        return a * x0 + b * noise

    def solve(self, output: Float[Tensor, " batch *shape"], x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Estimate:
        a, b = self.coefficients(alpha, sigma)
        determinant = alpha * b - sigma * a
        x0 = (b * x_t - sigma * output) / determinant
        return Estimate(x0=x0, noise=(alpha * output - a * x_t) / determinant)
