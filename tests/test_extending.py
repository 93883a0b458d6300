"""Each page of docs/extending/ is followed as it stands, on a small budget: checked, trained, and in the report."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import as_newcomer, run_command
from shell_lines import ROOT, fenced, shell_lines
from tiny_trials import TINY
from undrawn import leave_undrawn

PAGES = sorted(path for path in (ROOT / "docs" / "extending").glob("*.md") if path.stem != "README")
BUDGET = (*(word for word in TINY if not word.startswith("evaluator=")), "trainer.max_steps=2", "hydra/launcher=basic")
# What of the option the report shows.
SHOWN = {
    "connection": "leaky",
    "instrument": "Norm of the weights over training",
    "evaluator": "Spread of the samples",
    "data_set": "stripes",
}
DECLARE_CHARTS = ("instrument", "evaluator")  # whose options, so that the report draws them


@pytest.fixture
def newcomer(request, tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A folder of one's own with the files of a page."""
    for text in fenced(request.param):
        path = tmp_path / re.search(r"^# (\S+\.(?:py|yaml))$", text, re.MULTILINE)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    as_newcomer(monkeypatch, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield request.param
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.mark.parametrize("newcomer", PAGES, ids=lambda page: page.stem, indirect=True)
def test_a_page_is_followed(newcomer: Path, monkeypatch) -> None:
    if newcomer.stem not in DECLARE_CHARTS:
        leave_undrawn(monkeypatch)
    lines = [line.words for line in shell_lines(newcomer)]
    study = lines[-1][lines[-1].index("report") + 1]
    for program, *words in lines:
        if program == "python":
            runpy.run_path(*words)
            continue
        key = next((path.parent.name for path in Path("runs").glob("*/weights.safetensors")), "")
        words = [word.replace("runs/KEY", f"runs/{key}").replace("seed=0,1,2", "seed=0") for word in words]
        ended = run_command([*words, *(BUDGET if words[0] == "train" else ())])
        assert ended.code == 0, ended.text
        assert "Traceback" not in ended.text
    page = (Path("runs/studies") / study / "report.html").read_text(encoding="utf-8")
    assert SHOWN[newcomer.stem] in page


def test_every_page_is_listed() -> None:
    index = (ROOT / "docs" / "extending" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w+\.md)\)", index)) == [page.name for page in PAGES]
    assert set(SHOWN) == {page.stem for page in PAGES}
