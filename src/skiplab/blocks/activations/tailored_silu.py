from skiplab.blocks.transformed_activation import Constants, TransformedActivation, solve_constants
from skiplab.errors import SkiplabError


class TailoredSiLU(TransformedActivation):
    """A tailored smooth activation, gamma (act(alpha z + beta) + delta), whose gradients keep their size.

    Four constants for four conditions on the maps of variances, Q, and of cosines, C: Q(1) = 1, Q'(1) = 1, C'(1) = 1,
    and C''(1) = tau / L, so that the cosine's curvature at 1 is tau after all L activations.

    It is meant for norm=none with init=delta_orthogonal, or with init=orthogonal init.gain=1. L is exact in a plain
    network; a residual network gets the same constants, and is closer to linear.

    Source: Zhang, Botev and Martens 2022, Deep Learning without Shortcuts (TAT), arXiv:2203.08120
        (conditions and tau = 0.3: the authors' code, github.com/google-deepmind/dks).
    Differs from the source: inputs aren't normalized per location; L is that of the plain network even with shortcuts.

    Args:
        function: the activation act, silu or gelu.
        tau: curvature of the network's C map at 1, above 0.

    Raises:
        SkiplabError: if tau isn't above 0, or no constants meet the conditions.
    """

    def __init__(self, *, function: str, tau: float) -> None:
        if not tau > 0:
            raise SkiplabError(f"activation.tau={tau} is invalid; valid: a number above 0")
        super().__init__(function=function)
        self.tau = tau

    def solve(self, num_activations: int) -> Constants:
        return solve_constants(self.function, 1.0, self.tau / num_activations)
