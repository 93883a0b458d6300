"""How busy a sweep keeps the cores: processor time of all its processes over wall time and cores.

    python benchmarks/busy.py

204 digits trials by `skiplab train -m`, a worker of one thread per core, from the command to its end, imports included.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

from judged import judged

TARGET = 0.95
COMMAND = (sys.executable, "-c", "from skiplab.cli import main; main()", "train", "-m")
STUDY = ("experiment=residual_in_diffusion/quick", "seed=range(11,28)")


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    cores, before = len(os.sched_getaffinity(0)), processor_seconds()
    with tempfile.TemporaryDirectory() as runs_dir:
        started = time.monotonic()
        subprocess.run([*COMMAND, *STUDY, f"run.runs_dir={runs_dir}"], check=True, stdout=subprocess.DEVNULL)
        taken = time.monotonic() - started
    busy = (processor_seconds() - before) / (taken * cores)
    print(f"204 trials in {taken:.0f} s on {cores} cores")
    if judged("share of the cores' time that is used", [busy], at_least=TARGET):
        sys.exit("missed")


if __name__ == "__main__":
    main()
