"""Pages without their figures: where a test looks at something else, drawing them would be most of its time."""

import pytest

from skiplab.analysis.page.page_figures import PageFigures


def leave_undrawn(patched: pytest.MonkeyPatch) -> None:
    """A page shows a figure's title and nothing of the figure itself."""
    empty = {"caption": "", "class": "", "constant": "", "panels": [], "legend": []}
    patched.setattr(PageFigures, "figure", lambda own, title, *_: {"title": title, **empty})
