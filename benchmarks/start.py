"""The processor time that a command takes to start, its child processes included.

    python benchmarks/start.py ROUNDS

`skiplab train` of one step that nothing measures, from the command to its end, over `import torch, pytorch_lightning`
in the same environment; and commands that need neither, with a study of 100 trials. All in turns.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from generated_study import generate
from judged import judged

SKIPLAB = ("-c", "from skiplab.cli import main; main()")
ONE_STEP = (*SKIPLAB, "train", "trainer.max_steps=1", "instrument=[]", "evaluator=[]", "run.rerun=true")
STUDY = ("generated", "--runs-dir", "generated")
YARDSTICK = "import torch, pytorch_lightning"
AT_MOST = 1.5  # times the yardstick
AT_MOST_SECONDS = 1.0
COMMANDS = {
    YARDSTICK: ("-c", YARDSTICK),
    "train logger=none": (*ONE_STEP, "logger=none"),
    "train logger=wandb_offline": (*ONE_STEP, "logger=wandb_offline"),
    "--help": (*SKIPLAB, "--help"),
    "status": (*SKIPLAB, "status", *STUDY),
    "table": (*SKIPLAB, "table", *STUDY),
    "effects": (*SKIPLAB, "effects", *STUDY),
}


def seconds(command: tuple[str, ...], folder: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(rounds: int) -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder, "generated"), 100)
        for _ in range(rounds + 1):
            for name, command in COMMANDS.items():
                taken[name].append(seconds(command, folder))
    warm = {name: each[1:] for name, each in taken.items()}
    yardstick, missed = warm.pop(YARDSTICK), []
    print(f"{YARDSTICK}: {' '.join(f'{each:.2f}' for each in yardstick)} s")
    for name, each in warm.items():
        if name.startswith("train"):
            ratios = [own / other for own, other in zip(each, yardstick, strict=True)]
            missed += judged(f"skiplab {name}, over the yardstick", ratios, at_most=AT_MOST)
        else:
            missed += judged(f"skiplab {name}", each, at_most=AT_MOST_SECONDS, unit=" s")
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
