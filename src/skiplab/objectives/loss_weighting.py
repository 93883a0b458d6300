"""The interface of a loss weighting: how much each noise level counts in the training loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.prediction import Prediction


class LossWeighting:
    """The loss is w |x0 error|^2, whatever the network predicts, so that one weighting means the same for every target.

    At a given x_t the output's error is the clean input's times -(alpha b - sigma a) / sigma, with target = a x0 + b
    noise; the squared error of the output therefore weighs

        w sigma^2 / (alpha b - sigma a)^2.
    """

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        """w, the weight of the squared error of the clean input, at each noise level."""
        raise NotImplementedError(f"{type(self).__name__} must define of_x0(alpha, sigma)")

    def of_output(self, prediction: Prediction, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        """The weight of the squared error of the network's own output at each noise level."""
        a, b = prediction.coefficients(alpha, sigma)
        return self.of_x0(alpha, sigma) * torch.square(sigma / (alpha * b - sigma * a))
