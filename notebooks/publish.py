"""Runs the notebooks and stores what they print and show, so that they can be read without running them.

    python notebooks/publish.py           run them on the records in notebooks/records
    python notebooks/publish.py RUNS      first take these records from a runs folder, without weights

RUNS holds the study of `make demo`, and the study `mine` of the command in 04_add_your_own_connection.
"""

import os
import shutil
import sys
from pathlib import Path

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from traitlets.config import Config

from skiplab.records.file_names import CLAIMS, CONFIG, HISTORY, KEYS, LAYERS, MEASUREMENTS, SAMPLES, STUDIES, WEIGHTS
from skiplab.records.record import Record
from skiplab.records.study_list import read_keys

HERE = Path(__file__).resolve().parent
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
RECORDS = HERE / "records"
_STUDIES = ("residual_in_diffusion_quick", "mine")
_KEPT = (HISTORY.file, LAYERS.file, MEASUREMENTS.file, SAMPLES)


def execute(notebook: nbformat.NotebookNode) -> None:
    """Add the outputs of its cells as a kernel would, without the seconds that one takes to start."""
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    select_figure_formats(shell, {"png"})
    try:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, start=1):
            with shell.display_trap, capture_output() as captured:  # else the hook would be the shell's own again
                shell.run_cell(cell.source).raise_error()
            shown = [nbformat.v4.new_output("display_data", data=each.data) for each in captured.outputs]
            printed = [nbformat.v4.new_output("stream", text=captured.stdout)] if captured.stdout else []
            cell.outputs, cell.execution_count = [*printed, *shown], number
    finally:
        InteractiveShell.clear_instance()


def take_records(runs_dir: Path) -> None:
    """Copy what the notebooks read of a runs folder."""
    shutil.rmtree(RECORDS, ignore_errors=True)
    for study in _STUDIES:
        folder = RECORDS / STUDIES / study
        folder.mkdir(parents=True)
        for name in (KEYS, CLAIMS):
            if (runs_dir / STUDIES / study / name).exists():
                shutil.copyfile(runs_dir / STUDIES / study / name, folder / name)
        for key in read_keys(folder).keys:
            own, content = Record(RECORDS, key), Record(runs_dir, key).read()
            own.folder.mkdir(exist_ok=True)
            files = {name: each for name, each in content["files"].items() if name not in (WEIGHTS, CONFIG)}
            own.write({**content, "files": files})
            for name in _KEPT:
                if (runs_dir / key / name).exists():
                    shutil.copyfile(runs_dir / key / name, own.folder / name)


def publish() -> None:
    os.chdir(HERE)
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        execute(notebook)
        nbformat.write(notebook, path)
        print(f"published: {path.name}")


if __name__ == "__main__":
    for given in sys.argv[1:2]:
        take_records(Path(given))
    publish()
