"""Short trials under everything that goes wrong: whether all are finished, bit-equal to undisturbed ones, nothing lost.

Two rival sweeps share the trials while they are killed, the disk is full or read-only, and records are deleted, at
random. Needs Linux and root, for a small tmpfs.

    python benchmarks/soak.py --trials 200
"""

import argparse
import contextlib
import copy
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import Interrupted, SkiplabError
from skiplab.paths import project_dir
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS
from skiplab.records.key import trial_key
from skiplab.records.record import Record
from skiplab.records.study_list import read_keys, study_folder
from skiplab.records.table_file import read_table
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

_TINY = (
    *("logger=none", "width=8", "norm.num_groups=4", "depth=4", "batch_size=16", "trainer.max_steps=6"),
    *("eval_batch.num_images=16", "eval_batch.num_levels=2", "num_samples=32", "evaluator=[denoising_loss]"),
    *("run.checkpoint_every_steps=2", "run.log_every_steps=2", "run.study=soak"),
)
_TABLES = (HISTORY, LAYERS, MEASUREMENTS)
_PER_TRIAL = 600_000  # bytes of the tmpfs
_TROUBLE_SECONDS = (0.5, 4.0)  # between two troubles, and how long a full or read-only disk lasts


def main() -> None:
    """Run it, and print what was found; exit status 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the troubles")
    arguments = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory(prefix="skiplab-soak-") as folder:
        undisturbed, disk = Path(folder, "undisturbed"), Path(folder, "disk")
        configs = _configs(arguments.trials)
        sweep = _start(configs, undisturbed, 0)
        sweep.join()
        with _tmpfs(disk, _PER_TRIAL * arguments.trials + 4_000_000):
            runs_dir, begun = disk / "runs", time.monotonic()
            troubles, rounds = _disturb(configs, runs_dir, random.Random(arguments.seed))
            different = [config.seed for config in configs if not _equal(config, undisturbed, runs_dir)]
            listed = len(read_keys(study_folder(runs_dir, "soak")).keys)
            left = [child for child in multiprocessing.active_children() if child.is_alive()]
            print(f"{arguments.trials} trials in {time.monotonic() - begun:.0f} s, {rounds} sweeps; {dict(troubles)}")
            print(f"differ from undisturbed ones: {different or 'none'}; listed: {listed}; processes left: {len(left)}")
            sys.exit(bool(different or left or listed != arguments.trials))


def _configs(count: int) -> list[DictConfig]:
    with initialize_config_dir(config_dir=str(project_dir("conf")), version_base="1.3"):
        whole = compose("train", overrides=list(_TINY), return_hydra_config=True)
    OmegaConf.set_struct(whole, None)
    whole.pop("hydra")
    configs = [copy.deepcopy(whole) for _ in range(count)]
    for seed, config in enumerate(configs):
        config.seed = seed
    return configs


def _start(configs: list[DictConfig], runs_dir: Path, order: int) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_sweep, args=(configs, runs_dir, order))
    process.start()
    return process


def _sweep(configs: list[DictConfig], runs_dir: Path, order: int) -> None:
    """Go over the trials once; those that another sweep holds or that can't be written are left to the next round."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        for config in random.Random(order).sample(configs, len(configs)):
            config.run.runs_dir = str(runs_dir)
            try:
                run_trial(config, {"connection": "identity"}, progress=False)
            except (SkiplabError, OSError):
                time.sleep(0.05)
            except Interrupted:
                return


def _done(config: DictConfig, runs_dir: Path) -> bool:
    try:
        return Record(runs_dir, trial_key(config)).status == "done"
    except (SkiplabError, OSError):
        return False


def _disturb(configs: list[DictConfig], runs_dir: Path, draw: random.Random) -> tuple[Counter[str], int]:
    """Keep two sweeps going until all trials are done, with a trouble after every pause."""
    troubles: Counter[str] = Counter()
    sweeps: list[BaseProcess] = []
    rounds = 0

    def keep_two_going() -> None:
        nonlocal rounds
        sweeps[:] = [each for each in sweeps if each.is_alive()]
        while len(sweeps) < 2:
            sweeps.append(_start(configs, runs_dir, rounds := rounds + 1))

    while not all(_done(config, runs_dir) for config in configs):
        keep_two_going()
        time.sleep(draw.uniform(*_TROUBLE_SECONDS))
        trouble = draw.choice(["killed", "interrupted", "full", "read-only", "deleted", "none"])
        if sum(troubles.values()) < len(configs):  # then they may finish
            troubles[trouble] += _make(trouble, sweeps, keep_two_going, runs_dir, draw)
    for process in sweeps:
        process.join()
    return troubles, rounds


def _make(
    trouble: str, sweeps: list[BaseProcess], keep_two_going: Callable[[], None], runs_dir: Path, draw: random.Random
) -> bool:
    """Make a trouble; returns whether there was anything that it could befall."""
    pid = draw.choice(sweeps).pid
    assert pid is not None
    if trouble in ("killed", "interrupted"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if trouble == "killed" else signal.SIGTERM)
    elif trouble == "full":
        filler = runs_dir.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
        time.sleep(draw.uniform(*_TROUBLE_SECONDS))
        filler.unlink(missing_ok=True)
    elif trouble == "read-only":
        for process in sweeps:  # a disk with open files can't be made read-only
            process.kill()
            process.join()
        remount = ["mount", "-o", "remount,{}", str(runs_dir.parent)]
        subprocess.run([word.format("ro") for word in remount], check=True)
        keep_two_going()
        time.sleep(draw.uniform(*_TROUBLE_SECONDS))
        subprocess.run([word.format("rw") for word in remount], check=True)
    elif trouble == "deleted":
        if not (found := sorted(runs_dir.glob("*/record.json"))):
            return False
        subprocess.run(["rm", "-rf", str(draw.choice(found).parent)], check=False)
    return True


def _equal(config: DictConfig, one: Path, other: Path) -> bool:
    """Whether weights, tables as they are read, and summary agree; a resumed trial has some rows twice on disk."""
    found = []
    for record in (Record(runs_dir, trial_key(config)) for runs_dir in (one, other)):
        content = record.read()
        tables = [read_table(record.folder, table, content["files"]).rows for table in _TABLES]
        pairs = zip(tables, _TABLES, strict=True)
        texts = [rows.sort_values(list(table.identity)).to_csv(index=False) for rows, table in pairs]
        found.append((record.weights.read_bytes(), texts, content["summary"]))
    return found[0] == found[1]


@contextlib.contextmanager
def _tmpfs(place: Path, size: int):
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


if __name__ == "__main__":
    main()
