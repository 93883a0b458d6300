"""Names out of records in the files that people open in a spreadsheet: shown, never run; and none ends the analysis."""

import csv
import json
import unicodedata

import pytest

from skiplab.analysis.study.study import read_study
from skiplab.cli import main

ARMS = ["=1+1", "-2+3", "\t=1", "\x1b[31m\u202e", "\ud800", "a;=1"]
CLAIM = """\
  - name: "={word}"
    text: "@{word}"
    source: me
    metric: skill_train
    contrast: difference
    direction: higher
    smallest_effect: 0.02
"""


@pytest.fixture(params=ARMS, ids=ascii)
def study(runs, request):
    """An arm, a factor, its level and an error with such a name, in the two arms of a full grid."""
    arm = request.param
    for seed in range(3):
        for level in (4, 8):
            for each in ("plain", arm):
                summary = {"skill_train": 0.5 + (each == arm) / 4 + seed / 100 - level / 50, "loss_val": -0.5 - seed}
                choices = {"connection": each, f"{arm}x": f"{arm}{level}"}
                runs.trial(seed=seed, choices=choices, factors={"width": 8, "trainer.max_steps": 6}, summary=summary)
    runs.trial(seed=9, choices={"connection": arm}, status="failed", error=arm)
    head = f"question: '='\nfactor: connection\ncontrol: plain\ntreatment: {json.dumps(arm)}\ntuned: false\nclaims:\n"
    (runs.folder / "claims.yaml").write_text(head + CLAIM.format(word="higher"), encoding="utf-8")
    return runs.folder


@pytest.mark.usefixtures("undrawn")  # test_page_in_chromium looks at figures with such names
@pytest.mark.parametrize("command", ["table", "effects", "report"])
def test_no_cell_is_a_formula_or_steers_a_terminal(study, command, capsys) -> None:
    claims = ["--claims", str(study / "claims.yaml")] if command == "report" else []
    if claims and "\ud800" in (study / "claims.yaml").read_text(encoding="utf-8").encode().decode("unicode_escape"):
        claims = []  # records spell it out, so that no claim can name it
    main([command, "s", "--runs-dir", str(study), *claims])
    shown = capsys.readouterr().out
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in shown if sign != "\n")
    files = sorted((study / "studies" / "s").glob("*.csv"))
    assert files or not claims
    for path in files:
        content = path.read_bytes().decode("utf-8")
        assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in content if sign != "\n")
        for row in csv.reader(content.splitlines()):
            for cell in row:
                assert cell.lstrip()[:1] not in set("=+@-") or is_number(cell), (path.name, cell)


def test_negative_numbers_stay_numbers(study) -> None:
    main(["table", "s", "--runs-dir", str(study), "--metric", "loss_val"])
    rows = csv.DictReader((study / "studies" / "s" / "table.csv").read_text(encoding="utf-8").splitlines())
    assert {float(row["control_mean"]) for row in rows if row["control_mean"]} == {-1.5}


def test_a_study_with_such_names_is_cached(study) -> None:
    first = read_study("s", study)
    assert (first.folder / "cache.parquet").exists()
    assert read_study("s", study).trials.equals(first.trials)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
