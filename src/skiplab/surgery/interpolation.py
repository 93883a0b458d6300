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
    if merge.operation == "product sum":
        return _by_difference(left, merge.result)
    if merge.operation == "subtraction":
        return _by_difference(left, right, subtracted=True)
    if merge.operation != "addition":
        return None
    for one, other in ((left, right), (right, left)):
        if one.name == "mul" and (terms := _by_difference(other, one)):
            return terms if one is left else (terms[1], terms[0])
    return _by_rest(left, right)


def ends_in(value: Value, merge: Merge) -> bool:
    """Whether a term of an interpolation is used for it alone; the weight may be computed from its terms."""
    inside = between(value, merge.result)
    return all(use in inside for use in value.uses)


def _by_difference(term: Value, product: Value, *, subtracted: bool = False) -> tuple[Value, Value] | None:
    """a and b, if a term is b and a product t (a - b), or, where it is subtracted, a and t (a - b)."""
    for difference in product.parents if product.name in ("mul", "addcmul") else ():
        if difference.name == "sub" and len(difference.parents) == 2:
            a, b = difference.parents
            if term is (a if subtracted else b):
                return a, b
    return None


def _by_rest(left: Value, right: Value) -> tuple[Value, Value] | None:
    """a and b, if two values are t a and (1 - t) b."""
    if not left.name == right.name == "mul":
        return None
    for one in left.sources:
        for other in right.sources:
            if _is_rest(one, other) or _is_rest(other, one):
                return _without(left, one), _without(right, other)
    return None


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


def _without(product: Value, factor: Value) -> Value:
    return next((each for each in product.sources if each is not factor), product)
