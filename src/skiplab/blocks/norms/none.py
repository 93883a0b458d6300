from torch import nn


class NoNorm(nn.Identity):
    """No normalization, y = x.

    Source: none.
    Differs from the source: none.

    Args:
        width: channels (given at run time).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
