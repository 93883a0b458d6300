"""Upload a study's offline runs."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.wandb_account import has_key


def sync_command(study_name: str, runs_dir: Path, console: Console | None = None) -> None:
    """Upload, with `wandb sync`, every offline run of the study that isn't uploaded yet.

    W&B marks what it has uploaded by a file beside it, `*.wandb.synced`.

    Raises:
        SkiplabError: where there is no study or no key, or an upload fails.
    """
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    found = [
        path for key in study.trials["key"] for path in sorted((runs_dir / key).glob("wandb/offline-run-*/*.wandb"))
    ]
    waiting = [path for path in found if not path.with_name(f"{path.name}.synced").exists()]
    if not found:
        raise SkiplabError(
            f"no trial of {printable(study_name)} has offline runs; valid: trials trained with "
            "logger=wandb_offline, or with WANDB_MODE=offline"
        )
    if waiting and not has_key():
        raise SkiplabError("W&B has no key: `wandb login`, or set WANDB_API_KEY; nothing was uploaded")
    failed = 0
    for path in waiting:
        command = [sys.executable, "-m", "wandb", "sync", str(path.parent)]
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        words = "uploaded"
        if ended.returncode or not path.with_name(f"{path.name}.synced").exists():
            failed += 1
            words = f"not uploaded: {((ended.stderr or ended.stdout).strip().splitlines() or ['no reason given'])[-1]}"
        console.print(f"{path.parent.parent.parent.name}: {printable(words)}", markup=False, highlight=False)
    console.print(f"{len(waiting) - failed} uploaded, {len(found) - len(waiting)} were already", markup=False)
    if failed:
        raise SkiplabError(f"{failed} of {len(waiting)} runs were not uploaded; the same command tries them again")
