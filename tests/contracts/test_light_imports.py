"""What a command loads: what only prints, reads or refuses loads no torch, and training nothing that it doesn't use.

import-linter checks the modules, this what is loaded in a process.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from example_records import write_example
from option_files import PACKAGE
from tiny_trials import TINY

PROGRAM = """
import contextlib, importlib, io, json, sys
names, runs_dir = json.loads(sys.argv[1])
loaded = {}
def note(what):
    loaded[what] = sorted({name.split(".")[0] for name in sys.modules})
def run(*words):
    from skiplab.cli import main
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(words)
    note(words[0])
import skiplab
dir(skiplab)
note("import")
run("--help")
run("status", "mine", "--runs-dir", runs_dir)
run("table", "mine", "--runs-dir", runs_dir)
run("effects", "mine", "--runs-dir", runs_dir)
for name in names:
    importlib.import_module(name)
note("analysis")
run("train", "experimnt=mine")
print(json.dumps(loaded))
"""
TRAINING = {"torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "wandb", "transformers", "diffusers"}
DRAWING = {"matplotlib", "jinja2"}
NOT_LOADED = {
    "import": {*TRAINING, *DRAWING, "hydra", "pandas", "scipy", "rich"},
    "--help": {*TRAINING, *DRAWING, "hydra", "pandas", "scipy", "rich"},
    "status": {*TRAINING, *DRAWING, "hydra", "pandas", "scipy"},
    "table": {*TRAINING, *DRAWING, "hydra", "sklearn"},
    "effects": {*TRAINING, *DRAWING, "hydra", "sklearn"},
    "analysis": {*TRAINING, "sklearn"},
    "train": TRAINING,  # with a setting that is refused
}
# What a trial uses at its end or not at all; Lightning itself loads some of it.
UNUSED = ("datasets", "diffusers", "matplotlib", "pandas", "pyarrow", "sklearn", "torchvision", "transformers", "wandb")


def test_what_prints_reads_or_refuses_loads_no_torch(tmp_path: Path) -> None:
    modules = [
        "skiplab." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in (PACKAGE / "analysis").rglob("*.py")
        if path.stem != "__init__"
    ]
    keys = [f"{number:016x}" for number in range(4)]
    for number, key in enumerate(keys):
        write_example(
            tmp_path,
            key,
            choices={"connection": ("plain", "identity")[number % 2]},
            factors={"seed": number // 2},
            status="done",
            summary={"loss_val": 0.1 * number},
            metrics={"loss_val": {"label": "loss", "direction": "lower"}},
        )
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    (tmp_path / "studies" / "mine" / "keys.txt").write_text("\n".join(keys) + "\n", encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, json.dumps([modules, str(tmp_path)])]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    loaded = json.loads(answer.stdout.splitlines()[-1])
    assert "skiplab" in loaded["import"]
    assert (tmp_path / "studies" / "mine" / "table.csv").is_file()
    assert {what: NOT_LOADED[what] & set(names) for what, names in loaded.items()} == {what: set() for what in loaded}


def _train_afresh(words: Sequence[str]) -> None:
    """Train to the first step with modules imported anew, all but those that torch and Lightning need."""
    importlib.import_module("pytorch_lightning")
    for name in list(sys.modules):
        if name.split(".")[0] in ("skiplab", *UNUSED):
            del sys.modules[name]
    fit = importlib.import_module("skiplab.training.fit")
    vars(fit)["train"] = lambda *_: print(
        "at the first step:", *(name for name in UNUSED if name in sys.modules), flush=True
    )
    with contextlib.suppress(SystemExit):  # without a training there is nothing to measure
        importlib.import_module("skiplab.cli").main(["train", *words])


def test_training_loads_to_its_first_step_only_what_it_uses(tmp_path: Path) -> None:
    """Without W&B, then with it, in one process, whose start takes the longest."""
    words = [word for word in TINY if not word.startswith("logger=")]
    words += ["instrument=[gradient_flow,update_ratio,stability]"]
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}; import test_light_imports as own\n"
        f"for each in ('none', 'wandb_offline'):\n"
        f"    own._train_afresh([*{words!r}, f'logger={{each}}', f'run.runs_dir={tmp_path}/{{each}}'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "WANDB_MODE": "disabled"},
    )
    found = [line.split()[4:] for line in ran.stdout.splitlines() if line.startswith("at the first step:")]
    assert found == [[], ["wandb"]], ran.stderr
