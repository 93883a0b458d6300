import math
from itertools import pairwise
from typing import ClassVar

from torch import Tensor

from skiplab.charts import Chart, Measurement
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.streams.stage_streams import stage_streams
from skiplab.metrics import Metric

_LEAST = 1e-30  # of a root mean square, so that a stream of zeros has a gain


class StreamGain(Evaluator):
    """The factor by which the stream's size grows through all blocks: its composite gain.

        stream_gain = product over blocks l of rms(x_{l+1}) / rms(x_l),   rms^2 = mean of x^2 over images and channels,

    geometric mean over noise levels, for the trained network. x_l is the closed stream before block l; several
    streams are averaged. Changes of resolution between stages are not counted. Far from 1, signals explode or vanish;
    sums of independent updates grow as sqrt(1 + number of blocks).

    Source: Xie et al. 2025, mHC, arXiv:2512.24880, section 3.1 (composite mapping through layers, its maximal gain).
    Differs from the source: the whole block's gain, update included, not that of the mapping between streams alone;
        an average over inputs, not a maximum.

    Args:
        num_images: validation images, at every noise level.
        num_levels: noise levels.

    Raises:
        SkiplabError: if either is below 1.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "stream_gain": Metric(
            label="growth of the stream through all blocks (factor)", direction=None, scale="log", role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "stream_gain_by_block": Chart(
            title="Growth of the stream",
            caption="Root mean square of the stream after each block, relative to that before the first block, in the "
            "trained network on validation images; changes of resolution are left out. On a flat line, signals keep "
            "their size.",
            kind="lines",
            x="block, from input to output",
            value="growth of the stream (factor)",
            log=("value",),
        ),
        "stream_gain": Chart(
            title="Growth of the stream through all blocks",
            caption="The factor by which the trained network's stream grows from the first block to the last; each "
            "seed, and each arm's mean with its 95% interval.",
            kind="outcome",
            log=("value",),
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        by_level = []
        for *_, noised in self.eval_batch.noised(trained.objective, trained.data.val, "val"):
            stages = stage_streams(trained.objective, trained.model, noised)
            by_level.append([step for streams in stages for step in log_steps(streams)])
        steps = [sum(levels) / len(levels) for levels in zip(*by_level, strict=True)]
        grown = [sum(steps[: position + 1]) for position in range(len(steps))]
        measurements = [
            Measurement("stream_gain_by_block", position, _exp(value)) for position, value in enumerate(grown, start=1)
        ]
        return Result({"stream_gain": _exp(grown[-1])}, measurements=measurements)


def log_steps(streams: list[Tensor]) -> list[float]:
    """log rms(x_{l+1}) / rms(x_l) of the blocks of a stage, from its input and the stream after each block."""
    sizes = [math.log(max(_LEAST, float(stream.double().square().mean().sqrt()))) for stream in streams]
    return [after - before for before, after in pairwise(sizes)]


def _exp(value: float) -> float:
    return math.exp(max(-700.0, min(700.0, value)))
