import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, SplitName, Trained
from skiplab.evaluators.results.missing import require_finite
from skiplab.evaluators.streams.linear_head import as_image, fit_head, on_grid, read
from skiplab.evaluators.streams.stage_streams import stage_streams
from skiplab.metrics import Metric


class IterativeRefinement(Evaluator):
    """Fraction of blocks after which a linear head predicts the target better than before them.

    A linear head is fitted by ridge regression, on an evaluation batch of training images, to predict the target from
    the stream before and after each block. One head serves all positions; each position predicts the patch of pixels
    that it covers. With e the head's squared error on an evaluation batch of validation images, divided by the zero
    predictor's,

        block l refines if  e_before(l) - e_after(l) > max(0, the same difference in the untrained network).

    Without a shortcut, a block must write everything that the next block needs; with one, it can add to the stream.
    Comparing with the same network before training treats both arms alike.

    The head sees the stream alone. A block that drops what a long skip carries past it doesn't refine, though the
    network loses nothing. What changes between stages, by resampling and long skips, isn't counted.

    Source: Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes,
        arXiv:1610.01644; iterative refinement: Jastrzebski et al. 2018, arXiv:1710.04773.
    Differs from the source: closed-form regression to the denoising target, pooled over noise levels.

    Args:
        num_images: images of each split, at every noise level.
        num_levels: noise levels.
        ridge: weight of the squared norm of the head over the number of positions, above 0.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "refining_fraction": Metric(
            label="fraction of blocks that refine",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
            role="mechanism",
        )
    }

    charts: ClassVar[dict[str, Chart]] = {
        "error_by_block": Chart(
            title="Error of the linear head after each block",
            caption="Error of a linear head that predicts the target from the stream after each block, relative to "
            "the zero predictor, for the trained and the untrained network. If every block refines, the line falls "
            "throughout.",
            kind="lines",
            x="block, from input to output",
            value="error of the head",
        ),
        "gain_by_block": Chart(
            title="How much each block reduces the linear head's error",
            caption="Error of the linear head before the block minus its error after it. Above 0 the block refines; "
            "below 0 it removes information about the target.",
            kind="bars",
            x="block, from input to output",
            value="fall of the head's error",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int, ridge: float) -> None:
        if not ridge > 0:
            raise SkiplabError(f"evaluator.iterative_refinement.ridge={ridge} is invalid; valid: above 0")
        self.ridge = ridge
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        errors = self.read_errors(trained.model, trained)
        untrained = self.read_errors(trained.untrained, trained)
        refining = [
            before - after > max(0.0, start_before - start_after)
            for (before, after), (start_before, start_after) in zip(errors, untrained, strict=True)
        ]
        measurements = [
            Measurement("error_by_block", block + 1, after, line)
            for line, pairs in (("trained", errors), ("untrained", untrained))
            for block, (_, after) in enumerate(pairs)
        ]
        measurements += [
            Measurement("gain_by_block", block + 1, before - after) for block, (before, after) in enumerate(errors)
        ]
        return Result({"refining_fraction": sum(refining) / len(refining)}, measurements=measurements)

    def read_errors(self, model: nn.Module, trained: Trained) -> list[tuple[float, float]]:
        """The head's error before and after each block.

        Raises:
            UnmeasurableError: if errors aren't finite numbers, since comparisons with them would be silently false.
        """
        splits = [self._stages(model, trained, split) for split in ("train", "val")]
        (train_stages, train_target), (val_stages, val_target) = splits
        zero = val_target.square().mean()
        errors = []
        for stage, val_stage in zip(train_stages, val_stages, strict=True):
            by_stream = []
            for train_stream, val_stream in zip(stage, val_stage, strict=True):
                head = fit_head(train_stream, train_target, self.ridge)
                by_stream.append(float((read(head, val_stream, val_target) - val_target).square().mean() / zero))
            errors += itertools.pairwise(by_stream)  # the next block reads what a block writes
        require_finite(torch.tensor(errors), "blocks' errors of a linear head")
        return errors

    def _stages(self, model: nn.Module, trained: Trained, split: SplitName) -> tuple[list[list[Tensor]], Tensor]:
        """On the evaluation batch: each stage's input, the stream after each block, and the target, all on a grid."""
        levels = self.eval_batch.noised(trained.objective, trained.split(split), split)
        target = as_image(torch.cat([noised.target for *_, noised in levels]))
        stages = stage_streams(trained.objective, model, [noised for *_, noised in levels])
        return [[on_grid(stream, target) for stream in stage] for stage in stages], target
