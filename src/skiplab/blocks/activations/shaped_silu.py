from skiplab.blocks.transformed_activation import Constants, TransformedActivation, solve_constants
from skiplab.errors import SkiplabError


class ShapedSiLU(TransformedActivation):
    """Deep Kernel Shaping, gamma (act(alpha z + beta) + delta): orthogonal inputs stay so, close ones move apart.

    Four constants for four conditions on the maps of variances, Q, and of cosines, C: Q(1) = 1, Q'(1) = 1, C(0) = 0,
    and C'(1) = zeta^(1/L), so that the cosine's slope at 1 is zeta after all L activations.

    It is meant for norm=none with init=orthogonal init.gain=1. L is exact in a plain network; a residual network gets
    the same constants, and is closer to linear.

    Source: Martens et al. 2021, Rapid training of deep neural networks without skip connections or normalization
        layers using Deep Kernel Shaping, arXiv:2110.01765 (conditions and zeta = 1.5: the authors' code,
        github.com/google-deepmind/dks).
    Differs from the source: inputs aren't normalized per location; L is that of the plain network even with shortcuts.

    Args:
        function: the activation act, silu or gelu.
        zeta: slope of the network's C map at 1, above 1.

    Raises:
        SkiplabError: if zeta isn't above 1, or no constants meet the conditions.
    """

    def __init__(self, *, function: str, zeta: float) -> None:
        if not zeta > 1:
            raise SkiplabError(f"activation.zeta={zeta} is invalid; valid: a number above 1")
        super().__init__(function=function)
        self.zeta = zeta

    def solve(self, num_activations: int) -> Constants:
        return solve_constants(self.function, self.zeta ** (1 / num_activations))
