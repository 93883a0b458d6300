"""The sample grids by which arms are compared."""

import io
import struct
from typing import NamedTuple

from PIL import Image

from skiplab.analysis.frames import frame_rows
from skiplab.analysis.study.arms import Cell, cells, in_cell, with_arms
from skiplab.analysis.study.study import Problem, Study
from skiplab.printable import printable
from skiplab.records.file_names import REAL_IMAGES, SAMPLES
from skiplab.records.finished_files import check_unchanged
from skiplab.records.foreign_files import read_own

_MOST_PIXELS = 2**26
_SIZE = slice(16, 24)  # of a PNG, the bytes that say its width and height


class SampleGrid(NamedTuple):
    """An arm's picture of samples in a cell, of the trial of this seed."""

    seed: int
    image: Image.Image


class CellGrids(NamedTuple):
    """A cell with the grid of each arm that has one."""

    cell: Cell
    arms: dict[str, SampleGrid]


def sample_grids(study: Study, factor: str) -> tuple[list[CellGrids], list[Problem]]:
    """For each cell and arm the grid of its lowest seed that has one, and the pictures that can't be read.

    Arms of one seed start from the same noise.
    """
    trials, rows, problems = with_arms(study, factor), [], []
    for cell in cells(study, factor):
        found: dict[str, SampleGrid] = {}
        for trial in frame_rows(in_cell(study, trials, cell).sort_values("seed")):
            if trial["arm"] in found:
                continue
            image, bad = _picture(study, trial["key"], SAMPLES)
            problems += bad
            if image is not None:
                found[trial["arm"]] = SampleGrid(trial["seed"], image)
        if found:
            rows.append(CellGrids(cell, found))
    return rows, problems


def real_images(study: Study) -> tuple[Image.Image | None, list[Problem]]:
    """Images that the networks were trained on, as large as the samples; None where trials differ in their data."""
    if any(name.split(".")[0] == "data" for name in study.factors):
        return None, []
    problems: list[Problem] = []
    for key in study.trials["key"]:
        image, bad = _picture(study, key, REAL_IMAGES)
        problems += bad
        if image is not None:
            return image, problems
    return None, problems


def _picture(study: Study, key: str, name: str) -> tuple[Image.Image | None, list[Problem]]:
    """A trial's picture of this name; None where it has none, or none that can be read."""
    path = study.runs_dir / key / name
    if not path.exists():
        return None, []
    try:
        content = read_own(path)
        check_unchanged(content, study.files.get(key, {}).get(name))
        return _read(content), []
    except Exception as error:  # Pillow raises what it likes
        return None, [Problem(str(path), printable(error))]


def _read(content: bytes) -> Image.Image:
    width, height = struct.unpack(">II", content[_SIZE].ljust(8, b"\0"))
    if width * height > _MOST_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels; valid: up to {_MOST_PIXELS}")
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.load()
    return image
