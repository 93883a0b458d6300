"""Sums that are interpolations."""

from collections.abc import Sequence

from skiplab.surgery.value import Value


def interpolated(left: Value, right: Value) -> tuple[Value, Value] | None:
    """a and b, if two values are t a and (1 - t) b."""
    for one, other in ((left, right), (right, left)):
        if not one.name == other.name == "mul":
            continue
        for rest in other.sources:
            for factor in one.sources:
                if rest.name in ("rsub", "sub") and rest.sources == (factor,):
                    return _rest(left, (factor, rest)), _rest(right, (factor, rest))
    return None


def _rest(product: Value, factors: Sequence[Value]) -> Value:
    return next((each for each in product.sources if each not in factors), product)
