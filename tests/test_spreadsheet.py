"""Tables for spreadsheets: texts are shown, numbers are numbers."""

import csv
import io
import math
import unicodedata

import numpy as np
import pandas as pd
import pytest

from skiplab.records.spreadsheet import csv_text

HOSTILE = [
    "=1+1",
    "@SUM(A1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "=1",
    "a;=1",
    'a";=1',
    "a\n=1",
    "\x1b[31mred",
    "\u202eright to left",
    "\x00=1",
]


def rows(table: pd.DataFrame) -> list[list[str]]:
    content = csv_text(table).encode("utf-8").decode("utf-8")
    return list(csv.reader(io.StringIO(content, newline="")))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("kind", ["object", "str", "category"])
def test_no_text_is_a_formula_or_steers_a_terminal(text, kind) -> None:
    found = rows(pd.DataFrame({text: pd.Series([text, "plain"], dtype=kind), "n": [1, 2]}))
    assert [row[1] for row in found] == ["n", "1", "2"]
    for cell in (found[0][0], found[1][0]):
        assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in cell)
        assert not any(part.strip().startswith(tuple("=+-@＝＋－＠")) for part in cell.split(";"))
    assert found[2][0] == "plain"


@pytest.mark.parametrize(
    "text", ["identity", "a=b", "x - y", "depth 8, long_skip none", "[-0.1, 0.2]", "-0.5", "+1e-3", "'"]
)
def test_other_texts_stay_as_they_are(text) -> None:
    assert rows(pd.DataFrame({"text": [text]})) == [["text"], [text]]


def test_numbers_stay_numbers() -> None:
    numbers = {
        "float": [-0.1, 1e-300, np.nan, -math.pi],
        "int": [-3, 2**62, 0, 1],
        "mixed": [-3, None, -0.5, True],
        "bool": [True, False, True, False],
    }
    table = pd.DataFrame({"mixed": pd.Series(numbers.pop("mixed"), dtype=object), **numbers})
    text = csv_text(table)
    assert text == table.to_csv(index=False)
    assert text.splitlines()[1] == "-3,-0.1,-3,True"
    read = pd.read_csv(io.StringIO(text))
    assert read["float"].equals(table["float"])


def test_a_table_without_rows_or_with_a_name_twice() -> None:
    assert rows(pd.DataFrame(columns=["a", "=b"])) == [["a", "'=b"]]
    assert rows(pd.DataFrame([[1, "=x"]], columns=["a", "a"])) == [["a", "a"], ["1", "'=x"]]
