"""Tables of results as people have them, broken in every way: a sentence each, or a right result."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command_line import run_command
from skiplab.analysis.claims.compare_command import compare_command
from skiplab.analysis.results.open_study import FileColumns
from skiplab.analysis.tables.comparison import Selection

HEAD = "arm,seed,loss"
PLAIN = [f"plain,{seed},{1 + 0.01 * seed}" for seed in range(4)]
BETTER = [f"better,{seed},{0.5 + 0.011 * seed}" for seed in range(4)]
GOOD = [HEAD, *PLAIN, *BETTER]


def csv(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


def parquet(change: Callable[[pd.DataFrame], pd.DataFrame]) -> bytes:
    frame = pd.DataFrame({"arm": list("aabb"), "seed": [0, 1] * 2, "loss": [1.0, 2.0, 3.0, 4.0]})
    return change(frame).to_parquet()


def swapped(old: str, new: str) -> bytes:
    """The good table with one entry changed."""
    text = "\n".join(GOOD) + "\n"
    assert text.count(old) == 1
    return text.replace(old, new).encode()


# Each table: its file's ending, its content, the options beside --metric loss:lower, and the sentence that tells.
REFUSED: dict[str, tuple[str, bytes, str, str]] = {
    "empty": ("csv", b"", "", "it is empty; valid: a line of column names"),
    "only a header": ("csv", csv(HEAD), "", "the table has no rows"),
    "no column of seeds": (
        "csv",
        csv("arm,loss", "a,1", "b,2"),
        "",
        "no column 'seed' for the seed; the table has arm",
    ),
    "a wrong column of arms": ("csv", csv(*GOOD), "--arm Arm", "no column 'Arm' for the arm; the table has arm, seed"),
    "a wrong metric": ("csv", csv(*GOOD), "--metric los:lower", "no column 'los' for the metric; the table has"),
    "a wrong factor": ("csv", csv(*GOOD), "--by depth", "no column 'depth' for the factor"),
    "one column for two things": ("csv", csv(*GOOD), "--by seed", "'seed' is named as factor and as seed"),
    "a name twice": ("csv", csv("arm,seed,loss,loss", "a,1,2,3"), "", "two columns are named 'loss'"),
    "no seed in a row": ("csv", swapped("plain,2,", "plain,,"), "", "no seed in the column 'seed' in row 3"),
    "no arm in a row": ("csv", swapped("better,0,", " ,0,"), "", "no arm in the column 'arm' in row 5"),
    "a run twice": ("csv", csv(*GOOD, PLAIN[0]), "", "rows 1, 9 are the same run, arm plain, seed 0; valid: one row"),
    "a factor that is not named": (
        "csv",
        csv(f"{HEAD},depth", *(f"{row},{depth}" for depth in (4, 8) for row in GOOD[1:])),
        "",
        "if depth tells runs apart, name it as a factor (--by)",
    ),
    "text in numbers": ("csv", swapped("1.02", "diverged"), "", "'loss' holds 'diverged' in row 3"),
    "percent": ("csv", swapped("1.02", "93.1%"), "", "holds '93.1%' in row 3; valid for a metric: numbers; write 93.1"),
    "decimal commas": ("csv", csv("arm;seed;loss", "a;1;0,5", "b;1;0,7"), "", "write a point for a decimal comma"),
    "thousands": (
        "csv",
        swapped("1.02", '"7,131.20"'),
        "",
        "'7,131.20' in row 3; valid for a metric: numbers; leave out",
    ),
    "NA as an arm": ("csv", swapped("plain,2,", "NA,2,"), "", "no arm in the column 'arm' in row 3"),
    "dates": ("parquet", parquet(lambda f: f.assign(loss=pd.Timestamp("2026-01-01"))), "", "'loss' holds datetime64"),
    "complex numbers": ("jsonl", b'{"arm": "a", "seed": 1, "loss": "1+2j"}', "", "'loss' holds '1+2j' in row 1"),
    "no number at all": ("csv", csv(HEAD, "a,0,nan", "b,0,inf"), "", "has no finite number in any run that is done"),
    "one arm": ("csv", csv(HEAD, *PLAIN), "", "arm has one arm, plain; valid for compare: two or more"),
    "not UTF-8": ("csv", swapped("plain,2,", "pla\xefn,2,").decode().encode("latin-1"), "", "byte 0xef in line 4"),
    "lines of other lengths": ("csv", csv(*GOOD, "plain,9,1,2,3"), "", "it is no table:"),
    "no Parquet": ("parquet", csv(*GOOD), "", "it is no Parquet file"),
    "no JSON": ("jsonl", b'{"arm": "a"}\n{oh\n', "", "line 2 is no JSON"),
    "JSON of another kind": ("jsonl", b"[1, 2]\n", "", "line 1 is '[1, 2]'; valid: an object for each run"),
    "lists as arms": (
        "jsonl",
        b'{"arm": ["a"], "seed": 1, "loss": 1}',
        "",
        "the column 'arm' holds a list as arm; valid: text or numbers",
    ),
    "identities as arms": (
        "csv",
        csv(HEAD, *(f"run{number},0,{number}" for number in range(300))),
        "",
        "the column 'arm' has 300 levels as arm; valid: up to 200",
    ),
    "infinite levels": (
        "csv",
        csv(f"{HEAD},d", "a,0,1,inf", "b,0,1,2"),
        "--by d",
        "'d' is infinite as factor in row",
    ),
    "an unknown status": (
        "csv",
        csv(f"{HEAD},s", "a,0,1,hm"),
        "--status s",
        "has the status 'hm' in row 1; valid: ",
    ),
    "another ending": ("xlsx", b"PK", "", "table.xlsx is no table of results; valid endings: .csv"),
    "no direction": ("csv", csv(*GOOD), "--metric loss", "doesn't say which values are better; valid: loss:lower"),
    "seeds and none": ("csv", csv(*GOOD), "--unpaired --seed seed", "--unpaired goes with neither --seed nor"),
}
# Tables that look odd and are right: what the verdict says of them.
ACCEPTED: dict[str, tuple[str, bytes, str, str]] = {
    "spaces, a mark of bytes and empty lines": (
        "csv",
        b"\xef\xbb\xbf" + csv("arm, seed , loss", "", *(row.replace(",", ", ") for row in GOOD[1:])),
        "",
        "; supported.",
    ),
    "semicolons": ("csv", csv(*(row.replace(",", ";") for row in GOOD)), "", "; supported."),
    "lines of another system": ("csv", csv(*GOOD).replace(b"\n", b"\r\n"), "", "; supported."),
    "seeds of mixed types": (
        "jsonl",
        "\n".join(
            json.dumps({"arm": arm, "seed": seed if seed % 2 else str(seed), "loss": float(loss)})
            for arm, seed, loss in ((a, int(s), x) for a, s, x in (row.split(",") for row in GOOD[1:]))
        ).encode(),
        "",
        "; supported.",
    ),
    "arms of mixed types": ("csv", csv(HEAD, *PLAIN, *(f"1{row[6:]}" for row in BETTER)), "", "1 has lower loss than"),
    "an infinite value": ("csv", swapped("1.02", "inf"), "", "no verdict on survivors alone"),
    "arms called None and null": (
        "csv",
        csv(*GOOD).replace(b"plain", b"None").replace(b"better", b"null"),
        "",
        "null has lower loss than None",
    ),
    "None as a number": ("csv", swapped("1.02", "None"), "", "no verdict on survivors alone"),
    "an empty value": ("csv", swapped("1.02", ""), "", "no verdict on survivors alone"),
    "arms of other seeds": ("csv", csv(HEAD, *PLAIN, *(row.replace(",", ",9", 1) for row in BETTER)), "", "(Welch)"),
    "no seeds": ("csv", csv(*GOOD), "--unpaired", "compared as unpaired (Welch), 4 of plain, 4 of better"),
    "all equal": (
        "csv",
        csv(HEAD, *(f"{a},{s},{x}" for a, x in (("a", 1), ("b", 2)) for s in range(4))),
        "",
        "from 6",
    ),
    "steering names": ("csv", csv(*GOOD).replace(b"better", b"\x1b[31m[red]"), "", "\\x1b[31m[red] over plain"),
}


def compared(ending: str, content: bytes, options: str, folder: Path):
    (folder / f"table.{ending}").write_bytes(content)
    metric = [] if "--metric" in options else ["--metric", "loss:lower"]
    return run_command(["compare", f"table.{ending}", *metric, *options.split()])


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_can_t_be_judged_is_refused_in_a_sentence(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ending, content, options, sentence = REFUSED[name]
    ended = compared(ending, content, options, tmp_path)
    assert ended.code == 1, ended.text
    assert len(ended.text.splitlines()) == 1
    assert sentence in ended.text
    assert list(tmp_path.iterdir()) == [tmp_path / f"table.{ending}"]


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_table_that_looks_odd_is_judged(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ending, content, options, told = ACCEPTED[name]
    ended = compared(ending, content, options, tmp_path)
    assert ended.code == 0, ended.text
    assert told in " ".join(ended.text.split())


def test_a_missing_file_and_a_pipe_are_told(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run_command(["compare", "none.csv", "--metric", "loss:lower"])
    assert (ended.code, "can't read none.csv: No such file" in ended.text) == (1, True)
    os.mkfifo("pipe.csv")
    ended = run_command(["compare", "pipe.csv", "--metric", "loss:lower"])
    assert (ended.code, "it is no file" in ended.text) == (1, True)
    ended = run_command(["table", "none.csv"])
    assert ended.code == 1


@pytest.mark.slow
def test_a_million_rows_are_judged_in_seconds(tmp_path) -> None:
    draw, seeds = np.random.default_rng(0), np.arange(500_000)
    frame = pd.DataFrame(
        {
            "arm": np.repeat(["plain", "better"], len(seeds)),
            "seed": np.tile(seeds, 2),
            "depth": np.tile(seeds % 2 * 4 + 4, 2),
            "loss": draw.normal(size=2 * len(seeds)) - np.repeat([0.0, 0.1], len(seeds)),
        }
    )
    frame.to_csv(tmp_path / "million.csv", index=False)
    (verdict,) = compare_command(
        str(tmp_path / "million.csv"), tmp_path, Selection(metrics=["loss:lower"]), columns=FileColumns(by=["depth"])
    )
    assert [cell.conclusion for cell in verdict.cells] == ["supported", "supported"]
    assert verdict.cells[0].parts[0].interval.n == len(seeds) // 2
