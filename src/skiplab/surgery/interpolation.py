"""Sums that are interpolations."""

from skiplab.surgery.ancestry import between
from skiplab.surgery.aten import rearranges
from skiplab.surgery.merge import Merge
from skiplab.surgery.value import Value


def interpolated(merge: Merge) -> tuple[Value, Value] | None:
    """a and b, if a merge is t a + (1 - t) b in one of its spellings, such as b + t (a - b)."""
    left, right = merge.operands[:2]
    if merge.operation == "interpolation":
        return left, right
    if merge.operation not in ("addition", "subtraction"):
        return None
    for one, other in ((left, right), (right, left)):
        if one.name != "mul":
            continue
        for difference in one.parents:
            if difference.name == "sub" and len(difference.parents) == 2:
                a, b = difference.parents
                if other is (b if merge.operation == "addition" else a):
                    return (a, b) if one is left else (b, a)
        if other.name == "mul" and merge.operation == "addition":
            for rest in other.sources:
                for weight in one.sources:
                    if _is_rest(rest, weight):
                        return _without(left, (weight, rest)), _without(right, (weight, rest))
    return None


def ends_in(value: Value, merge: Merge) -> bool:
    """Whether a term of an interpolation is used for it alone; the weight may be computed from its terms."""
    inside = between(value, merge.result)
    return all(use in inside for use in value.uses)


def _is_rest(rest: Value, weight: Value) -> bool:
    """Whether one value is 1 - t, and the other t."""
    rest = _as_computed(rest)
    if rest.name not in ("rsub", "sub") or len(rest.sources) != 1:
        return False
    return _as_computed(rest.sources[0]) is _as_computed(weight)


def _as_computed(value: Value) -> Value:
    """A value before it was brought to another shape."""
    while rearranges(value.name) and len(value.sources) == 1:
        value = value.sources[0]
    return value


def _without(product: Value, factors: tuple[Value, Value]) -> Value:
    return next((each for each in product.sources if each not in factors), product)
