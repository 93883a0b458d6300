import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from skiplab.analysis.wandb.wandb_sync import sync_command
from skiplab.errors import SkiplabError


@pytest.fixture
def offline(runs, monkeypatch):
    """A study of three trials with an offline run each; what is asked of `wandb sync`, which fails for one."""
    keys = [runs.trial(seed=seed, summary={"loss_val": 1.0}) for seed in range(3)]
    for key in keys:
        folder = runs.folder / key / "wandb" / f"offline-run-1-{key}"
        folder.mkdir(parents=True)
        (folder / f"run-{key}.wandb").touch()
    asked, failing = [], set()

    def run(command, **_):
        assert command[:4] == [sys.executable, "-m", "wandb", "sync"]
        folder = Path(command[4])
        asked.append(folder.parent.parent.name)
        if asked[-1] in failing:
            return subprocess.CompletedProcess(command, 1, "", "trying\nno network\x1b[31m\n")
        next(folder.glob("*.wandb")).with_name(f"run-{asked[-1]}.wandb.synced").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    return keys, asked, failing


def synced(runs, *, private: bool = False) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    sync_command("s", runs.folder, private, console=console)
    return console.export_text()


def test_each_run_is_uploaded_once(runs, offline):
    keys, asked, _ = offline
    assert "3 uploaded, 0 were uploaded before" in synced(runs)
    assert asked == keys
    assert "0 uploaded, 3 were uploaded before" in synced(runs)
    assert asked == keys


def test_what_fails_is_told_and_tried_again(runs, offline, capsys):
    keys, asked, failing = offline
    failing.add(keys[1])
    with pytest.raises(SkiplabError, match="1 of 3 runs were not uploaded"):
        synced(runs)
    failing.clear()
    assert "1 uploaded, 2 were uploaded before" in synced(runs)
    assert asked == [*keys, keys[1]]


def test_without_a_key_nothing_is_begun(runs, offline, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", os.devnull)
    with pytest.raises(SkiplabError, match="W&B has no key"):
        synced(runs)
    assert offline[1] == []
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    assert "3 uploaded" in synced(runs)


def test_a_study_without_offline_runs_is_refused(runs):
    runs.trial(summary={"loss_val": 1.0})
    with pytest.raises(SkiplabError, match="logger=wandb_offline"):
        synced(runs)


def test_it_says_what_it_sends_and_in_private_sends_no_folders(runs, monkeypatch):
    keys = [runs.trial(seed=seed, summary={"loss_val": 1.0}) for seed in range(2)]
    keys.append(runs.trial(seed=2, status="failed", error="Traceback in /home/me/skiplab"))
    for key, log in zip(keys, (b"losses", b"losses, /home/me/bin/python", b"losses"), strict=True):
        files = runs.folder / key / "wandb" / f"offline-run-1-{key}" / "files"
        files.mkdir(parents=True)
        (files.parent / f"run-{key}.wandb").write_bytes(log)
        (files / "config.yaml").write_text("data: {path: /home/me/images}")
        (files / "record.json").write_text("{}")
    sent = []

    def run(command, **_):
        (log,) = Path(command[4]).glob("*.wandb")
        sent.extend(sorted(path.name for path in Path(command[4]).rglob("*") if path.is_file()))
        log.with_name(f"{log.name}.synced").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    with pytest.raises(SkiplabError, match="2 of 3 runs were not uploaded"):
        synced(runs, private=True)
    assert sent == ["record.json", f"run-{keys[0]}.wandb"]
    assert "config.yaml, which names folders (--private: without it)" in " ".join(synced(runs).split())
    assert sent.count("config.yaml") == 2
