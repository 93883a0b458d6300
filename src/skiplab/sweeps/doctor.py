"""What this machine has: cores, memory, GPUs, launchers, a W&B account, weights and data sets."""

import importlib.util
import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.wandb_account import has_key


class Finding(NamedTuple):
    """The result of one check: whether it is fine, what was found, and what to do otherwise."""

    name: str
    is_fine: bool
    found: str
    advice: str = ""


def doctor_command(runs_dir: Path) -> None:
    """Print what this machine has. Nothing is changed, and the network isn't used."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in CHECKS:
        finding = check(runs_dir)
        mark = Text("yes", style="green") if finding.is_fine else Text("no", style="yellow")
        table.add_row(finding.name, mark, Text("; ".join(part for part in (finding.found, finding.advice) if part)))
    terminal.console().print(table)


def _cores(runs_dir: Path) -> Finding:
    present = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else present
    advice = "a sweep trains one trial on each core" if usable > 1 else ""
    return Finding("cores", True, f"{usable} of {present} usable", advice)


def _memory(runs_dir: Path) -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return Finding("memory", free > 1, f"{free:.1f} GiB free", "" if free > 1 else "a trial needs about 1 GiB")


def _disk(runs_dir: Path) -> Finding:
    existing = next(path for path in (runs_dir.resolve(), *runs_dir.resolve().parents) if path.exists())
    free, writable = shutil.disk_usage(existing).free / 2**30, os.access(existing, os.W_OK)
    advice = "" if writable else "not writable; give another folder by run.runs_dir=..."
    return Finding("disk", writable and free > 1, f"{free:.1f} GiB free for {runs_dir}", advice)


def _torch(runs_dir: Path) -> Finding:
    import torch

    return Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def _gpu(runs_dir: Path) -> Finding:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    return Finding("GPU", count > 0, names or "none that torch can use", "use trainer=gpu" if count else "")


def _launchers(runs_dir: Path) -> Finding:
    plugins = {"submitit (SLURM)": "hydra_submitit_launcher", "Ray": "hydra_ray_launcher"}
    found = [name for name, plugin in plugins.items() if _installed(f"hydra_plugins.{plugin}")]
    return Finding("launchers", True, ", ".join(["in process", "on all cores", *found]))


def _wandb(runs_dir: Path) -> Finding:
    key = has_key()
    advice = "" if key else "offline logging needs none; run `wandb login` for logger=wandb_online"
    return Finding("W&B account", key, f"wandb {metadata.version('wandb')}", advice)


def _inception(runs_dir: Path) -> Finding:
    from skiplab.cache_dir import cache_dir

    path = cache_dir() / "inception-2015-12-05.pt"
    advice = "" if path.exists() else "feature_extractor=inception explains where to get them"
    return Finding("Inception weights", path.exists(), str(path), advice)


def _hub(runs_dir: Path) -> Finding:
    is_fine = _installed("datasets")
    advice = "" if is_fine else "run `pip install datasets` for data sets such as data=cifar10"
    return Finding("data sets of the Hugging Face hub", is_fine, "datasets is installed" if is_fine else "", advice)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


CHECKS: tuple[Callable[[Path], Finding], ...] = (
    _cores,
    _memory,
    _disk,
    _torch,
    _gpu,
    _launchers,
    _wandb,
    _inception,
    _hub,
)
