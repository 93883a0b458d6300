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
        SkiplabError: if there is no such study, no key, or an upload fails.
    """
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    found = [
        path for key in study.trials["key"] for path in sorted((runs_dir / key).glob("wandb/offline-run-*/*.wandb"))
    ]
    pending = [path for path in found if not path.with_name(f"{path.name}.synced").exists()]
    if not found:
        raise SkiplabError(
            f"no trial of {printable(study_name)} has offline runs; train trials with logger=wandb_offline, or with "
            "WANDB_MODE=offline"
        )
    if pending and not has_key():
        raise SkiplabError("W&B has no key, so nothing was uploaded; run `wandb login`, or set WANDB_API_KEY")
    failed = 0
    for path in pending:
        command = [sys.executable, "-m", "wandb", "sync", str(path.parent)]
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        result = "uploaded"
        if ended.returncode or not path.with_name(f"{path.name}.synced").exists():
            failed += 1
            result = f"not uploaded: {((ended.stderr or ended.stdout).strip().splitlines() or ['no reason given'])[-1]}"
        console.print(f"{path.parent.parent.parent.name}: {printable(result)}", markup=False, highlight=False)
    console.print(f"{len(pending) - failed} uploaded, {len(found) - len(pending)} were uploaded before", markup=False)
    if failed:
        raise SkiplabError(f"{failed} of {len(pending)} runs were not uploaded; run the same command to try them again")
