"""Text of others as it may be shown: nothing in it steers what shows it."""

import unicodedata


def printable(text: object) -> str:
    """The text with everything that could steer a terminal (escapes, bells, direction marks) spelled out."""
    words = str(text)
    if words.isprintable():  # as nearly all are
        return words
    return "".join(
        sign if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs") else _spelled(sign)
        for sign in words
    )


def one_line(text: object) -> str:
    """The same as one cell of a table, which knows no lines and no tabs."""
    return printable(text).replace("\n", " ").replace("\t", " ")


def counted(trials: int) -> str:
    """A number of trials in words: `1 trial`, `2 trials`."""
    return "1 trial" if trials == 1 else f"{trials} trials"


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
