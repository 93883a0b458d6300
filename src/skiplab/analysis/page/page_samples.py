"""The samples of the page, one row per cell and one column per arm, beside images of the data set."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from PIL import Image

from skiplab.analysis.figures.sample_grids import SampleGrid, real_images, sample_grids
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.study import Problem, Study
from skiplab.analysis.text import cell_text, level_text

_LARGEST_SIDE = 640  # of a grid, in pixels; larger ones are scaled down
_SMALLEST_SIDE = 96
_MOST_BYTES = 1_500_000  # of all grids of a page, before they are written as text


def page_samples(
    study: Study, factor: str, arms: Sequence[str], filters: Filters
) -> tuple[dict[str, Any], list[Problem]]:
    """For each cell and arm the sample grid of its lowest seed; many grids are scaled down to limit the page's size.

    The images of the data set, `real`, are None where no trial has a picture of them.
    """
    grids, problems = sample_grids(study, factor)
    real, unreadable = real_images(study) if grids else (None, [])
    rows = [
        {
            "cell": cell_text(own.cell),
            "tags": filters.tags(own.cell),
            "pictures": [_picture(own.arms.get(arm), arm) for arm in arms],
        }
        for own in grids
    ]
    beside = [{"image": real}] if real else []
    found = [*beside, *(picture for row in rows for picture in row["pictures"] if picture)]
    contents = _small_enough([picture.pop("image") for picture in found])
    for picture, content in zip(found, contents, strict=True):
        picture["source"] = Markup(f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}")
    return {"rows": rows, "real": beside[0]["source"] if beside else ""}, [*problems, *unreadable]


def _picture(grid: SampleGrid | None, arm: str) -> dict[str, Any] | None:
    return grid and {"image": grid.image, "seed": level_text(grid.seed), "arm": arm}


def _small_enough(images: Sequence[Image.Image]) -> list[bytes]:
    side = _LARGEST_SIDE
    while True:
        contents = [_png(image, side) for image in images]
        if sum(map(len, contents)) <= _MOST_BYTES or side <= _SMALLEST_SIDE:
            return contents
        side = max(_SMALLEST_SIDE, side * 2 // 3)


def _png(image: Image.Image, largest_side: int) -> bytes:
    smaller = image.copy()
    smaller.thumbnail((largest_side, largest_side))
    buffer = io.BytesIO()
    smaller.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
