"""A scatter plot of points of the plane: samples over training points."""

import io

from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

_SIDE_INCHES, _DOTS_PER_INCH = 4.0, 120
_MAX_REFERENCE = 4000  # more gray points would only hide each other
_MARGIN = 0.15  # shown beyond the training points, as a fraction of their extent


def draw_points(reference: Float[Tensor, "point 2"], samples: Float[Tensor, "sample 2"]) -> Image.Image:
    """Training points in gray, samples in color. The frame depends on the training points only."""
    reference, samples = reference.cpu(), samples.cpu()
    low, high = reference.amin(dim=0), reference.amax(dim=0)
    low, high = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
    inside = int(((samples >= low) & (samples <= high)).all(dim=1).sum())
    figure = Figure(figsize=(_SIDE_INCHES, _SIDE_INCHES), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(*reference[:_MAX_REFERENCE].T.numpy(), s=6, c="#c0c0c0", linewidths=0)
    axes.scatter(*samples.T.numpy(), s=6, c="#0072b2", alpha=0.6, linewidths=0)
    (left, bottom), (right, top) = low.tolist(), high.tolist()
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_title(f"{len(samples)} samples, {len(samples) - inside} outside the frame", fontsize=9)
    axes.tick_params(labelsize=8, colors="#606060")
    axes.spines[:].set_color("#b0b0b0")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")
