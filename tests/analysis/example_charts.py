"""A chart of every kind, as records declare them."""

import json
from dataclasses import asdict
from typing import Any

from skiplab.charts import Chart


def declared(measured_by: str, kind: str, *log: str) -> dict[str, Any]:
    """A chart as a record declares it."""
    words = f"What {measured_by} shows."
    chart = Chart(
        title=f"Chart of {measured_by}", caption=words, kind=kind, x="place", y="height", value="size", log=log
    )
    return json.loads(json.dumps(asdict(chart))) | {"measured_by": measured_by}


CHARTS = {
    "loss_val": declared("evaluator denoising_loss", "outcome"),
    "error_by_noise": declared("evaluator noise_levels", "lines", "x", "value"),
    "share_of_scales": declared("evaluator scales", "bars"),
    "landscape": declared("evaluator landscape", "contour", "value"),
    "weight_gradient_norm": declared("instrument gradient_flow", "lines", "value"),
    "block_update_ratio": declared("instrument update_ratio", "heat", "value"),
}
