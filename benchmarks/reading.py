"""What it takes to read large studies: tables of 10,000 and more trials, the page and the dashboard of 500.

    python benchmarks/reading.py [TRIALS ...]

Processor time of a process each, imports included, and the most memory that it had. The trials are like one of digits
at its defaults (`generated_study.py`). Tables are made twice: the second time from the study's cache. The page is of
500 trials; the dashboard's first page is the one that it answers with before it has drawn that.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = {10_000: (2.0, 4096), 100_000: (30.0, 4096)}  # seconds of processor time when warm, and MiB
PAGE_SECONDS, FIRST_PAGE_SECONDS, PAGE_TRIALS = 10.0, 3.0, 500
ACCOUNT = """
import resource, sys
from pathlib import Path
runs_dir = Path(sys.argv[1])
{work}
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{{used.ru_utime + used.ru_stime:.2f}} {{used.ru_maxrss / 1024:.0f}}")
"""
TABLE = """
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison_table import comparison_table
comparison_table(read_study("generated", runs_dir))
"""
STATUS = """
from skiplab.sweeps.status import read_standings, render
render("generated", read_standings("generated", runs_dir))
"""
PAGE = """
from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.study import read_study
write_report(read_study("generated", runs_dir))
"""
FIRST_PAGE = """
from skiplab.analysis.page.served_page import ServedPage
ServedPage("generated", runs_dir, None, lambda: "")
"""


def generate(folder: Path, count: int) -> None:
    """In a process of its own: the most memory of a process counts for those that it starts."""
    subprocess.run([sys.executable, Path(__file__).with_name("generated_study.py"), folder, str(count)], check=True)


def used(work: str, folder: Path) -> tuple[float, float]:
    """Seconds of processor time and MiB of a process that does this."""
    command = [sys.executable, "-c", ACCOUNT.format(work=work), str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    seconds, mebibytes = answer.stdout.split()[-2:]
    return float(seconds), float(mebibytes)


def told(name: str, found: tuple[float, float], seconds: float | None, mebibytes: float | None = None) -> list[str]:
    """Print what was used beside the target; [name] where it is missed."""
    targets = [f"{value:g}{unit}" for value, unit in ((seconds, " s"), (mebibytes, " MiB")) if value is not None]
    print(f"{name}: {found[0]:.2f} s, {found[1]:.0f} MiB, target {' and '.join(targets) or 'none'}", flush=True)
    limits = zip(found, (seconds, mebibytes), strict=True)
    return [name] if any(most is not None and value > most for value, most in limits) else []


def main(counts: list[int]) -> None:
    missed = []
    with tempfile.TemporaryDirectory() as place:
        for count in counts:
            folder = Path(place, str(count))
            generate(folder, count)
            seconds, mebibytes = TARGETS.get(count, (None, None))
            missed += told(f"status of {count:,} trials", used(STATUS, folder), None)
            missed += told(f"table of {count:,} trials, first", used(TABLE, folder), None, mebibytes)
            missed += told(f"table of {count:,} trials, again", used(TABLE, folder), seconds, mebibytes)
        folder = Path(place, "page")
        generate(folder, PAGE_TRIALS)
        missed += told(f"page of {PAGE_TRIALS} trials", used(PAGE, folder), PAGE_SECONDS)
        missed += told(
            f"first page of the dashboard, {PAGE_TRIALS} trials", used(FIRST_PAGE, folder), FIRST_PAGE_SECONDS
        )
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [10_000])
