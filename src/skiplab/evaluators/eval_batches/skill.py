"""How much better a network is than the zero predictor."""

import math


def skill(loss: float, zero_loss: float) -> float:
    """max(0, 1 - loss / zero_loss).

    It is also 0 if the loss isn't finite, since a network that explodes is no better than the zero predictor. It is nan
    if the zero predictor makes no error.

    Source: Murphy 1988, Monthly Weather Review 116, eq. 4 (from memory).
    Differs from the source: at least 0.
    """
    if zero_loss == 0:
        return math.nan
    return max(0.0, 1 - loss / zero_loss) if math.isfinite(loss) else 0.0
