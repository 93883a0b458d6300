from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.metrics import Metric

if TYPE_CHECKING:
    import pandas as pd


class Stability(Instrument):
    """Whether training diverged, and how smoothly and how fast the loss falls, relative to the zero predictor's loss.

    With l_t the loss of step t over the zero predictor's:
    - training diverged as the trial's record says (`skiplab.training.divergence`);
    - a spike is a step whose loss isn't finite or exceeds `spike_factor` times the median of the `window` losses before
      it; successive steps count as one spike. Divergence counts as a spike too, so that a trial that diverged early
      has a high rate of spikes, over the few steps that it made;
    - the threshold is reached at the first step where the mean of the last `window` losses is at most `threshold`;
    - the loss area is the mean over all steps of min(l_t, 1); steps that a diverged trial never made count as 1;
    - a lost step has a loss that isn't finite, or an update that mixed precision skipped;
    - the start l_0 is about 1 where the initial network predicts next to nothing; at 2,650 its first outputs are about
      50 times too large.

    `diverged` compares arms best: spikes of trials that ended early have little exposure.

    Source: loss spikes: Chowdhery et al. 2022, PaLM, arXiv:2204.02311, section 5.1; steps to a fixed threshold: Dahl et
        al. 2023, Benchmarking Neural Network Training Algorithms, arXiv:2306.07179.
    Differs from the source: PaLM has no rule for spikes, and the one above is our own; losses are those of training
        batches.

    Args:
        window: steps of the running median and mean, from 1.
        spike_factor: loss over the running median above which a step is a spike, above 1.
        threshold: the fraction of the zero predictor's loss to reach, above 0 and below 1.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "diverged": Metric(
            label="fraction of trials that diverged", direction="lower", scale="bounded", if_diverged=1.0, kind="event"
        ),
        "spikes_per_1000_steps": Metric(
            label="loss spikes in 1,000 steps",
            direction="lower",
            if_diverged="measured",
            kind="count",
            exposure="thousand_steps",
        ),
        "thousand_steps": Metric(label="steps that were trained, thousands", direction=None, if_diverged="measured"),
        "steps_to_threshold": Metric(
            label="steps until the loss is below the threshold",
            direction="lower",
            scale="log",
            if_diverged="measured",
            reached="threshold_reached",
        ),
        "threshold_reached": Metric(
            label="fraction of trials whose loss fell below the threshold",
            direction="higher",
            scale="bounded",
            if_diverged="measured",
            kind="event",
        ),
        "loss_area": Metric(
            label="loss over the zero predictor's, mean over training",
            direction="lower",
            scale="bounded",
            if_diverged="measured",
        ),
        "lost_step_fraction": Metric(
            label="fraction of steps without a finite loss or without an update",
            direction="lower",
            scale="bounded",
            if_diverged="measured",
        ),
        "loss_start": Metric(
            label="first loss over the zero predictor's", direction="lower", scale="log", if_diverged="measured"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "diverged": Chart(
            title="Divergence",
            caption="1 for a trial that diverged, 0 for one that didn't; each seed, and each arm's fraction with its "
            "95% interval. Lower is better.",
            kind="outcome",
        ),
        "steps_to_threshold": Chart(
            title="Steps until the loss is below the threshold",
            caption="Each seed, and each arm's mean with its 95% interval; a trial that never reaches the threshold "
            "counts with its last step. Lower is better.",
            kind="outcome",
        ),
        "spikes_per_1000_steps": Chart(
            title="Loss spikes",
            caption="Steps whose loss jumps above a multiple of the running median, per 1,000 steps; each seed, and "
            "each arm's mean with its 95% interval. Lower is better.",
            kind="outcome",
        ),
        "loss_area": Chart(
            title="Area under the loss curve",
            caption="Loss relative to the zero predictor's, averaged over all steps; each seed, and each arm's mean "
            "with its 95% interval. Lower means faster learning.",
            kind="outcome",
        ),
    }

    def __init__(self, *, window: int, spike_factor: float, threshold: float) -> None:
        if window < 1:
            raise SkiplabError(f"instrument.stability.window={window} is invalid; valid: a whole number from 1")
        if not spike_factor > 1:
            raise SkiplabError(f"instrument.stability.spike_factor={spike_factor} is invalid; valid: above 1")
        if not 0 < threshold < 1:
            raise SkiplabError(f"instrument.stability.threshold={threshold} is invalid; valid: above 0 and below 1")
        self.window, self.spike_factor, self.threshold = window, spike_factor, threshold

    def is_due(self, step: int) -> bool:
        return False  # every step's loss is recorded anyway

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        losses = log.losses.sort_index()
        if losses.empty:
            return {}
        thousands, lost = len(losses) / 1000, ~np.isfinite(losses)
        summary = {
            "diverged": float(log.diverged),
            "spikes_per_1000_steps": self.num_spikes(losses, diverged=log.diverged) / thousands,
            "thousand_steps": thousands,
        }
        if log.num_skipped is not None:
            summary["lost_step_fraction"] = float((lost.sum() + log.num_skipped) / len(losses))
        return summary if log.zero_loss is None else summary | self._relative(losses / log.zero_loss, log.max_steps)

    def _relative(self, losses: "pd.Series", max_steps: int) -> dict[str, float]:
        """What is said of the losses over the zero predictor's."""
        reached, never_made = self.reached(losses), max_steps - len(losses)
        capped = losses.where(np.isfinite(losses), 1.0).clip(upper=1.0)
        return {
            "steps_to_threshold": float(max_steps if reached is None else reached),
            "threshold_reached": float(reached is not None),
            "loss_area": float((capped.sum() + never_made) / max_steps),
            "loss_start": float(losses.iloc[0]),
        }

    def num_spikes(self, losses: "pd.Series", *, diverged: bool) -> int:
        """The number of spikes; that of divergence ends with the last loss."""
        median = losses.where(np.isfinite(losses)).shift(1).rolling(self.window, min_periods=self.window).median()
        high = cast("pd.Series", ~np.isfinite(losses)) | (losses > self.spike_factor * median)
        high.iloc[-1] |= diverged
        return int((high & ~high.shift(1, fill_value=False)).sum())

    def reached(self, losses: "pd.Series") -> int | None:
        """The number of steps after which the running mean is at or below the threshold; None if it never is."""
        below = np.asarray(losses.rolling(self.window).mean()) <= self.threshold
        return int(below.argmax()) + 1 if below.any() else None
