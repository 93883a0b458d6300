"""What tuning gave each arm in each cell, in words."""

import math
from collections.abc import Callable, Sequence

from skiplab.records.tuned import Combination


def budget_text(num_rates: int, combinations: Sequence[Combination]) -> str:
    """The numbers of values that were combined: '5 rates', or '5 rates × 2 init × 2 warmup_steps'.

    Where an arm tried other settings than another, or other values, or more of them, the text says so.
    """

    def given(combination: Combination) -> str:
        others = (f"{len(values)} {short_name(name)}" for name, values in combination.tried.items())
        return " × ".join([f"{num_rates} rates", *others])

    numbers = by_level(combinations, given)
    if len({_num_tries(each) for each in combinations}) > 1:
        return f"unequal budgets: {numbers}"
    values = [str(dict(each.tried)) for each in combinations]
    has_same_names = len({tuple(each.tried) for each in combinations}) == 1
    if len(set(values)) > 1 and has_same_names:
        return f"{numbers}, values by {deciding_factor(combinations, values) or 'combination'}"
    return numbers


def _num_tries(combination: Combination) -> int:
    return math.prod(len(values) for values in combination.tried.values())


def by_level(combinations: Sequence[Combination], text_of: Callable[[Combination], str]) -> str:
    """The text of all combinations; where it differs, 'A for plain and B for identity'."""
    texts = [text_of(each) for each in combinations]
    factor = deciding_factor(combinations, texts)
    if len(set(texts)) == 1 or factor is None:
        return " or ".join(dict.fromkeys(texts))
    levels: dict[str, dict[str, None]] = {}
    for each, text in zip(combinations, texts, strict=True):
        levels.setdefault(text, {})[str(each.factors[factor])] = None
    return " and ".join(f"{text} for {', '.join(own)}" for text, own in levels.items())


def deciding_factor(combinations: Sequence[Combination], texts: Sequence[str]) -> str | None:
    """The first factor whose level decides which text a combination has; None if there is none."""
    for factor in combinations[0].factors:
        pairs = {(str(each.factors[factor]), text) for each, text in zip(combinations, texts, strict=True)}
        if len(pairs) == len({level for level, _ in pairs}):
            return factor
    return None


def short_name(name: str) -> str:
    """A setting without its axis, such as lr for optimizer.lr; of settings that change together, each."""
    return "+".join(each.rpartition(".")[2] for each in name.split("+"))
