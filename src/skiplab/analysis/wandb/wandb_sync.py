"""Upload a study's offline runs."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.file_names import CONFIG
from skiplab.records.record import read_record
from skiplab.wandb_account import has_key

_ENVIRONMENT = b"/python"  # in a log that W&B wrote with what it collects by itself
_SENT = "settings, losses, readings, measurements, samples and record.json"


def sync_command(study_name: str, runs_dir: Path, private: bool, console: Console | None = None) -> None:
    """Upload, with `wandb sync`, every offline run of the study that isn't uploaded yet.

    W&B marks what it has uploaded by a file beside it, `*.wandb.synced`.

    Args:
        study_name: the study.
        runs_dir: the folder of its records.
        private: whether what names folders, a command line or a machine is left out.
        console: where it is printed.

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
    if pending:
        other = "nothing that names a folder" if private else f"{CONFIG}, which names folders (--private: without it)"
        console.print(f"sending of each run: {_SENT}; {other}", markup=False, highlight=False, soft_wrap=True)
    failed = 0
    for path in pending:
        reason = _upload_without_places(path) if private else _upload(path)
        failed += bool(reason)
        result = f"not uploaded: {reason}" if reason else "uploaded"
        console.print(f"{path.parent.parent.parent.name}: {printable(result)}", markup=False, highlight=False)
    console.print(f"{len(pending) - failed} uploaded, {len(found) - len(pending)} were uploaded before", markup=False)
    if failed:
        raise SkiplabError(f"{failed} of {len(pending)} runs were not uploaded; run the same command to try them again")


def _upload(path: Path) -> str:
    """Upload a run; returns why it couldn't be."""
    command = [sys.executable, "-m", "wandb", "sync", str(path.parent)]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if ended.returncode or not path.with_name(f"{path.name}.synced").exists():
        return ((ended.stderr or ended.stdout).strip().splitlines() or ["no reason given"])[-1]
    return ""


def _upload_without_places(path: Path) -> str:
    """Upload a run without the files that name folders; returns why it couldn't be."""
    if _ENVIRONMENT in path.read_bytes():
        return "W&B recorded its command line, folders and machine, which an older version of skiplab let it do"
    if read_record(path.parent.parent.parent)["error"]:
        return "its record holds an error, whose traceback names folders"
    with tempfile.TemporaryDirectory(prefix="skiplab-sync-") as folder:
        copy = Path(folder) / path.parent.name
        shutil.copytree(path.parent, copy, ignore=shutil.ignore_patterns(CONFIG))
        if not (reason := _upload(copy / path.name)):
            path.with_name(f"{path.name}.synced").touch()
    return reason
