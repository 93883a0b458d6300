"""How long a study takes from records on disk to its comparison table, cold and again, and in how much memory.

    python benchmarks/collect.py [TRIALS]

Generates so many records (10,000 by default), each with 500 steps of 5 metrics and 50 readings of 40 layers in 2
quantities, then reads them in a new process, twice. Needs about 60 KiB of disk for each trial.
"""

import platform
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from skiplab.metrics import Metric
from skiplab.records.file_names import HISTORY, KEYS, LAYERS, RECORD
from skiplab.records.provenance import origin
from skiplab.records.record_json import to_json
from skiplab.records.record_schema import new_record

DEPTHS, LONG_SKIPS, ARMS = (4, 8, 16, 32, 64), ("none", "concat"), ("plain", "identity", "rezero", "highway")
METRICS = {
    "loss_val": Metric(label="validation loss", direction="lower"),
    "skill_train": Metric(label="skill on training images", direction="higher", scale="bounded", if_diverged=0.0),
    "frechet_distance": Metric(label="Frechet distance", direction="lower", scale="log"),
    "gradient_first_to_last": Metric(label="gradient, first over last", direction="higher", scale="log"),
    "refining_fraction": Metric(label="refining share", direction="higher", scale="bounded"),
}
TABLE = """
import resource, sys, time
started = time.perf_counter()
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison_table import comparison_table
table = comparison_table(read_study("generated", sys.argv[1]))
mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{time.perf_counter() - started:.2f} {mebibytes:.0f} {len(table.frame)}")
"""


def generate(runs_dir: Path, num_trials: int, *, series: bool = True) -> None:
    """Write a study of so many trials, with or without their histories and readings."""
    generator, keys = np.random.default_rng(0), []
    this_machine = origin(None, "DEFAULT")
    cells = len(DEPTHS) * len(LONG_SKIPS) * len(ARMS)
    history = "\n".join(f"{step},loss{index},0.{step % 10}" for step in range(500) for index in range(5))
    layers = "\n".join(
        f"{step},{layer},blocks.{layer},{quantity},0.5"
        for step in range(50)
        for layer in range(40)
        for quantity in ("gradient_norm", "update_ratio")
    )
    for index in range(num_trials):
        cell, seed = index % cells, index // cells
        arm, rest = ARMS[cell % len(ARMS)], cell // len(ARMS)
        choices = {"connection": arm, "long_skip": LONG_SKIPS[rest % len(LONG_SKIPS)], "data": "digits"}
        factors = {"depth": DEPTHS[rest // len(LONG_SKIPS)], "width": 16, "seed": seed} | {
            f"setting{n}": n for n in range(60)
        }
        key = sha256(f"{index}".encode()).hexdigest()[:16]
        record = new_record(
            key,
            choices=choices,
            factors=factors,
            parity={
                "num_parameters": 100,
                "flops_per_sample": 1_000_000,
                "activation_bytes_per_sample": 10_000,
                "depth": factors["depth"],
                "num_layers": 10,
                "num_joins": 4,
            },
            instruments={},
            details={},
            origin=this_machine,
        )
        record["status"], record["step"] = "done", 500
        record["summary"] = {name: float(generator.uniform(0.1, 0.9)) for name in METRICS}
        record["metrics"] = {name: vars(metric) for name, metric in METRICS.items()}
        folder = runs_dir / key
        folder.mkdir(parents=True)
        (folder / RECORD).write_bytes(to_json(record))
        if series:
            (folder / HISTORY.file).write_text(f"{','.join(HISTORY.columns)}\n{history}\n", encoding="utf-8")
            (folder / LAYERS.file).write_text(f"{','.join(LAYERS.columns)}\n{layers}\n", encoding="utf-8")
        keys.append(key)
    study = runs_dir / "studies" / "generated"
    study.mkdir(parents=True)
    (study / KEYS).write_text("\n".join(keys) + "\n", encoding="utf-8")


def main(num_trials: int) -> None:
    print(f"{platform.machine()}, Python {platform.python_version()}, {num_trials:,} trials")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        generate(Path(folder), num_trials)
        print(f"generated in {time.perf_counter() - started:.0f} s")
        for words in ("first", "again"):
            command = [sys.executable, "-c", TABLE, folder]
            seconds, mebibytes, rows = subprocess.run(
                command, check=True, capture_output=True, encoding="utf-8"
            ).stdout.split()
            print(f"{words}: {seconds} s, {mebibytes} MiB, {rows} rows")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
