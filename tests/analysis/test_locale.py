"""A locale without UTF-8: files are UTF-8 all the same, and a terminal is shown what it can show."""

import io
import locale
import sys

import pandas as pd
import pytest

from skiplab.cli import main

ARM = "naïve≥"
CLAIMS = f"""\
question: Does it help – and by how much?
factor: connection
control: plain
treatment: {ARM}
tuned: false
claims:
  - name: skill
    text: Skill is ≥ with shortcuts.
    source: He et al. 2015
    metric: skill_train
    contrast: difference
    direction: higher
    smallest_effect: 0.02
"""


@pytest.fixture(params=["ascii", "latin-1"])
def shown(request, monkeypatch):
    """shown(words): what a command prints in a narrow encoding, under the locale C."""
    if sys.flags.utf8_mode:
        pytest.skip("Python's UTF-8 mode heeds no locale; tests/contracts/test_encodings.py looks at the source")
    before = locale.setlocale(locale.LC_CTYPE)

    def run(words):
        content = io.BytesIO()
        stream = io.TextIOWrapper(content, encoding=request.param)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            locale.setlocale(locale.LC_CTYPE, "C")
            main(words)
            stream.flush()
        return content.getvalue().decode(request.param)

    yield run
    locale.setlocale(locale.LC_CTYPE, before)


@pytest.fixture
def study(runs):
    """Two arms, one with a name beyond ASCII, and claims about them with a dash."""
    factors = {"width": 8, "trainer.max_steps": 6}
    for seed in range(3):
        for arm in ("plain", ARM):
            summary = {
                "skill_train": 0.5 + (arm == ARM) / 4 + seed / 100,
                "loss_val": 0.4,
                "frechet_distance": 3.0 + seed,
            }
            runs.trial(seed=seed, choices={"connection": arm}, factors=factors, summary=summary)
    runs.trial(seed=9, choices={"connection": ARM}, status="failed", error=f"no – {ARM}", factors=factors)
    (runs.folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    return runs


@pytest.mark.parametrize(
    "words",
    [
        ["status", "s"],
        ["table", "s"],
        ["table", "s", "--metric", "frechet_distance"],
        ["effects", "s"],
        ["report", "s"],
        ["report", "s", "--claims", "claims.yaml"],
        ["figures", "s", "--only", "headline", "--format", "svg"],
    ],
    ids=" ".join,
)
def test_every_command_prints(words, study, shown) -> None:
    folder = str(study.folder)
    text = shown([word.replace("claims.yaml", f"{folder}/claims.yaml") for word in words] + ["--runs-dir", folder])
    assert text.isascii() or "ï" in text


def test_files_are_utf_8_and_keep_every_name(study, shown) -> None:
    text = shown(["table", "s", "--runs-dir", str(study.folder)])
    assert "naive>=" in text or "naïve>=" in text
    folder = study.folder / "studies" / "s"
    assert set(pd.read_csv(folder / "table.csv")["treatment"]) == {ARM}
    for name in ("table.md", "table.html", "rates.csv"):
        assert ARM in (folder / name).read_text(encoding="utf-8")
