"""The interface of a loss weighting: the weight of each noise level in the training loss."""

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.objectives.prediction import Prediction


class LossWeighting:
    """The loss is w |x0 error|^2 for every prediction, so that a weighting means the same for all of them.

    With target = a x0 + b noise, the error of the output at a given x_t is the error of x0 times
    -(alpha b - sigma a) / sigma. The weight of the output's squared error is therefore

        w sigma^2 / (alpha b - sigma a)^2.
    """

    def of_x0(self, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        """w, the weight of the squared error of the clean image at each noise level."""
        raise NotImplementedError(f"{type(self).__name__} must define of_x0(alpha, sigma)")

    def of_output(self, prediction: Prediction, alpha: Tensor, sigma: Tensor) -> Float[Tensor, "*batch"]:
        """The weight of the squared error of the network's own output at each noise level."""
        a, b = prediction.coefficients(alpha, sigma)
        return self.of_x0(alpha, sigma) * torch.square(sigma / (alpha * b - sigma * a))
