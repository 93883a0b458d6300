"""Wrong command lines, drawn at random from a fixed seed, and what a command may answer to them."""

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from skiplab.cli import main

WORDS = (
    "",
    "nothing",
    "/no/such/folder",
    ".",
    "/dev/null",
    "..",
    "a/b",
    "-1",
    "0",
    "many",
    "1e400",
    "nan",
    "=1+1",
    "ä",
)


class Case(NamedTuple):
    """What is typed behind `skiplab`, less what all cases share."""

    words: list[str]

    def __str__(self) -> str:
        return " ".join(self.words)[:80].encode("ascii", "backslashreplace").decode()


def drawn(cases: Callable[[random.Random], Iterator[Case]], count: int, seed: int, slow: int = 0) -> list[Any]:
    """The first cases, as parameters of a test; of one draw, the last `slow` of them are run under `slow` alone."""
    found = cases(random.Random(seed))
    marks = [[]] * (count - slow) + [[pytest.mark.slow]] * slow
    return [pytest.param(next(found), marks=own) for own in marks]


def outcome(words: list[str], capsys: Any) -> tuple[object, str]:
    """The exit status of a command, and what it wrote to standard error."""
    code: object = 0
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code or 0
    err = capsys.readouterr().err
    return code, err


def assert_told(code: object, err: str) -> None:
    """It ended well, or with one sentence: skiplab's own, or argparse's behind its usage."""
    assert code in (0, 1, 2), err
    assert "Traceback" not in err
    if code == 1:
        assert err.startswith("skiplab: ")
        assert len(err.strip().splitlines()) == 1, err
    if code == 2:
        assert "error: " in err.splitlines()[-1]
