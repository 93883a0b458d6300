"""What prints in a notebook's kernel prints the text of a terminal; Rich would make HTML of it."""

import pytest

from command_line import as_newcomer, run_command
from tiny_trials import TINY

SWEEP = ("train", "-m", *TINY, "seed=0,1", "hydra/launcher=basic", "run.study=mine", "evaluator=[]")


def test_no_command_makes_html(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_newcomer(monkeypatch, tmp_path)
    displayed = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *_: displayed.append(_))
    for words in (SWEEP, ("status", "mine"), (*SWEEP, "--dry-run"), ("doctor",), ("table", "mine")):
        ended = run_command(words)
        assert ended.code == 0, ended.text
        assert ended.text.strip(), words
        assert not displayed, words
