"""Writes a study of any number of trials, each a real trial with other settings and results in its record.

    python benchmarks/generated_study.py FOLDER TRIALS

The real trial is one of digits at its defaults, of 500 steps. Connection, depth, long skips and seed differ, and each
value of the summary is multiplied by a number between 0.8 and 1.2. The other files of a trial are links to the real
ones, 300 KB in all.
"""

import copy
import os
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from skiplab.paths import project_dir
from skiplab.records.file_names import KEYS, RECORD
from skiplab.records.record_json import parse_record, to_json
from skiplab.sweeps.job import Job
from skiplab.training.quiet import quiet
from skiplab.training.trial import run_trial

DEPTHS, LONG_SKIPS, ARMS = (4, 8, 16, 32, 64), ("none", "concat"), ("plain", "identity", "rezero", "highway")
STEPS = 500
MOST_LINKS = 10_000  # to one file; file systems allow some 65,000


def generate(runs_dir: Path, num_trials: int) -> None:
    generator, keys = np.random.default_rng(0), []
    cells = len(DEPTHS) * len(LONG_SKIPS) * len(ARMS)
    runs_dir.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=runs_dir.parent) as own:
        real = trained(Path(own))
        template = parse_record((real / RECORD).read_bytes())
        for index in range(num_trials):
            if index % MOST_LINKS == 0:
                linked = shutil.copytree(real, Path(own, f"{index}"))
            cell, seed = index % cells, index // cells
            arm, rest = ARMS[cell % len(ARMS)], cell // len(ARMS)
            long_skip, depth = LONG_SKIPS[rest % len(LONG_SKIPS)], DEPTHS[rest // len(LONG_SKIPS)]
            record = copy.copy(template)
            record["key"] = sha256(f"{index}".encode()).hexdigest()[:16]
            record["choices"] = template["choices"] | {"connection": arm, "long_skip": long_skip}
            record["factors"] = template["factors"] | {"depth": depth, "seed": seed}
            changes = generator.uniform(0.8, 1.2, len(template["summary"]))
            record["summary"] = {
                name: value * float(change)
                for (name, value), change in zip(template["summary"].items(), changes, strict=True)
            }
            folder = runs_dir / record["key"]
            folder.mkdir()
            (folder / RECORD).write_bytes(to_json(record))
            for name in template["files"]:
                os.link(linked / name, folder / name)
            keys.append(record["key"])
    study = runs_dir / "studies" / "generated"
    study.mkdir(parents=True)
    (study / KEYS).write_text("\n".join(keys) + "\n", encoding="utf-8")


def trained(runs_dir: Path) -> Path:
    """The folder of the real trial."""
    quiet()
    torch.set_num_threads(1)
    overrides = ["logger=none", f"trainer.max_steps={STEPS}", f"run.runs_dir={runs_dir}"]
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        job = Job.composed(compose("train", overrides, return_hydra_config=True))
    run_trial(job.config, job.choices, progress=False)
    return next(runs_dir.glob(f"*/{RECORD}")).parent


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))
