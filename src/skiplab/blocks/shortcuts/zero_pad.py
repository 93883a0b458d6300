from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skiplab.blocks.shortcut import Shortcut


class ZeroPad(Shortcut):
    """Subsamples positions by `stride`; pads missing channels with zeros, or drops the last channels.

    Without parameters, plain and residual networks have equal parameter counts.

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 3.3, option A.
    Differs from the source: it can reduce the width, for a decoder block that reads stream and long skip
        concatenated. It keeps the first `width_out` channels, which are the stream's. The source only widens.
    """

    def forward(self, x: Float[Tensor, "batch width_in *positions"]) -> Float[Tensor, "batch width_out *outputs"]:
        x = self.subsample(x)
        if self.width_out > self.width_in:
            padding = [0, 0] * (x.ndim - 2) + [0, self.width_out - self.width_in]
            return F.pad(x, padding)
        return x[:, : self.width_out]
