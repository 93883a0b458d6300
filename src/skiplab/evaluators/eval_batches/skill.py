"""How much a network has learnt, against one that answers zero."""

import math


def skill(loss: float, zero_loss: float) -> float:
    """max(0, 1 - loss / zero_loss).

    It is 0 too where the loss is no finite number: a network that explodes is no better than one that answers zero. It
    is nan where that one makes no error.

    Source: Murphy 1988, Monthly Weather Review 116, eq. 4.
    Differs from the source: at least 0.
    """
    if zero_loss == 0:
        return math.nan
    return max(0.0, 1 - loss / zero_loss) if math.isfinite(loss) else 0.0
