"""What an evaluator's chart draws."""

from skiplab.evaluators.evaluator import Result


def drawn(result: Result, chart: str, line: str = "") -> dict[float, float]:
    """The values of a line by where they stand."""
    chosen = [each for each in result.measurements if (each.chart, each.line) == (chart, line)]
    assert chosen, f"no line {line!r} of {chart}"
    found = {each.x: each.value for each in chosen}
    assert len(found) == len(chosen), "two values stand at one place"
    return found
