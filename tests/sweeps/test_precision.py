"""Trials in bf16 on a processor without instructions for it are said to be slow, and no others are."""

import pytest
import torch

from skiplab.cli import main
from tiny_trials import TINY

BF16 = "trainer.precision=bf16-mixed"


def shown(capability: str, words: list[str], capsys: pytest.CaptureFixture, patched: pytest.MonkeyPatch) -> str:
    patched.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    main(["train", *TINY, *words])
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [["--dry-run"], ["trainer.max_steps=1", "evaluator=[]"]])
@pytest.mark.parametrize("sweep", [[], ["-m", "hydra/launcher=basic"]])
def test_bf16_without_instructions_for_it(sweep: list[str], words: list[str], tmp_path, capsys, monkeypatch) -> None:
    out = shown("AVX2", [*sweep, *words, BF16, f"run.runs_dir={tmp_path}"], capsys, monkeypatch)
    assert out.count("trainer.precision=bf16-mixed is slow here: this processor (AVX2)") == 1


@pytest.mark.parametrize(("capability", "word"), [("AVX512", BF16), ("AVX2", "trainer.precision=32-true")])
def test_where_nothing_is_slow(capability: str, word: str, tmp_path, capsys, monkeypatch) -> None:
    assert "slow here" not in shown(capability, ["--dry-run", word, f"run.runs_dir={tmp_path}"], capsys, monkeypatch)


def test_trials_that_are_done_are_not_slow_any_more(tmp_path, capsys, monkeypatch) -> None:
    words = [BF16, "trainer.max_steps=1", "evaluator=[]", f"run.runs_dir={tmp_path}"]
    shown("AVX512", words, capsys, monkeypatch)
    assert "slow here" not in shown("AVX2", [*words, "--dry-run"], capsys, monkeypatch)
    further = "evaluator=[denoising_loss]"  # which computes in float32
    assert "slow here" not in shown("AVX2", [*words[:-2], further, words[-1], "--dry-run"], capsys, monkeypatch)
