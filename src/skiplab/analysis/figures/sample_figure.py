"""Samples of the arms side by side."""

from matplotlib.figure import Figure

from skiplab.analysis.figures.palette import frame, panels
from skiplab.analysis.figures.sample_grids import sample_grids
from skiplab.analysis.study.arms import factor_under_test, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text

SAMPLE_CAPTION = "Samples of each arm's lowest seed, one row per cell; arms of the same seed start from the same noise."
_MOST_ROWS = 12


def sample_figure(study: Study, factor: str | None = None) -> Figure | None:
    """One row per cell and one column per arm, each with the samples of its lowest seed; None if there are none.

    Arms of one seed start from the same noise. The first 12 cells are shown.
    """
    factor = factor_under_test(study, factor)
    rows, _ = sample_grids(study, factor)
    present = {arm for row in rows for arm in row.arms}
    arms = [arm for arm in with_arms(study, factor)["arm"].cat.categories if arm in present]
    if not rows:
        return None
    rows = rows[:_MOST_ROWS]
    width, height = next(iter(rows[0].arms.values())).image.size
    figure, axes = panels(len(rows) * len(arms), columns=len(arms), row_inches=0.3 + 3.6 * height / width)
    for position, ax in enumerate(axes):
        row, arm = rows[position // len(arms)], arms[position % len(arms)]
        ax.set_axis_off()
        if arm not in row.arms:
            continue
        grid = row.arms[arm]
        gray = {"cmap": "gray", "vmin": 0, "vmax": 255} if grid.image.mode == "L" else {}
        ax.imshow(grid.image, interpolation="nearest", **gray)
        where = f"{cell_text(row.cell)}, " if row.cell else ""
        frame(ax, f"{arm}: {where}seed {level_text(grid.seed)}", "", "")
    return figure
