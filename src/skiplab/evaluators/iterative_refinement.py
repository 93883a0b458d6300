import functools
import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, SplitName, Trained
from skiplab.evaluators.results.missing import require_finite
from skiplab.evaluators.streams.linear_head import Grid, as_image, common_grid, fit_heads, on_grid, squared_errors
from skiplab.evaluators.streams.stage_streams import State, stage_states
from skiplab.metrics import Metric


class IterativeRefinement(Evaluator):
    """Fraction of blocks after which a linear head predicts the target better than before them.

    A linear head is fitted by ridge regression, on an evaluation batch of training images, to predict the target from
    what the network holds before and after each block: the stream, and what long skips carry past the block. One head
    serves all noise levels and positions. Each position predicts the patch of pixels that it covers, and sees of a
    finer long skip what lies in that patch. With e the head's squared error on an evaluation batch of validation
    images, divided by that of the mean,

        block l refines if  e_before(l) - e_after(l) > max(0, the same difference in the untrained network) + margin.

    Without a shortcut, a block must write everything that the next block needs and no long skip carries; with one, it
    can add to the stream, unless it changes the width. The untrained network's difference is what random weights bring.

    What is the same for all images says nothing of an image. So the mean over training images, at each noise level and
    position, is taken out of inputs and target. Each stream is divided by the standard deviation of what the head reads
    of it, that of these means included: what differs between images by less than the square root of ridge, 3%, of it is
    hardly seen, and the next block hardly sees it. The margin keeps blocks out that change next to nothing.

    What changes between stages, by resampling, isn't counted. Where long skips carry the output of every block, as in
    the encoder of U-ViT, no block can lose anything. Of an external network the head sees the stream alone: there a
    block that drops what the network's own long skip carries doesn't refine, though the network loses nothing. In a
    network of four resolutions, such as ddpm_unet, the coarsest has too few positions for what finer long skips carry,
    and nothing is reported.

    Source: Alain and Bengio 2016, Understanding intermediate layers using linear classifier probes,
        arXiv:1610.01644; iterative refinement: Jastrzebski et al. 2018, arXiv:1710.04773.
    Differs from the source: closed-form regression to the denoising target, pooled over noise levels, whose constants
        are taken out.

    Args:
        num_images: images of each split, at every noise level.
        num_levels: noise levels.
        ridge: weight of the squared norm of the head over the number of positions, above 0.
        margin: least fall of the head's error that counts, from 0 to below 1.

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
            caption="Error of a linear head that predicts the target from the stream after each block and what long "
            "skips carry past it, relative to that of the mean, for the trained and the untrained network. If every "
            "block refines, the line falls throughout.",
            kind="lines",
            x="block, from input to output",
            value="error of the head",
        ),
        "gain_by_block": Chart(
            title="How much each block reduces the linear head's error",
            caption="Error of the linear head before the block minus its error after it. The block refines if that is "
            "by more than the margin above 0 and above what it was before training.",
            kind="bars",
            x="block, from input to output",
            value="fall of the head's error",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int, ridge: float, margin: float) -> None:
        if not ridge > 0:
            raise SkiplabError(f"evaluator.iterative_refinement.ridge={ridge} is invalid; valid: above 0")
        if not 0 <= margin < 1:
            raise SkiplabError(f"evaluator.iterative_refinement.margin={margin} is invalid; valid: from 0 to below 1")
        self.ridge, self.margin = ridge, margin
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        errors = self.read_errors(trained.model, trained)
        untrained = self.read_errors(trained.untrained, trained)
        refining = [
            before - after > max(0.0, start_before - start_after) + self.margin
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
            UnmeasurableError: if errors aren't finite numbers, since comparisons with them would be silently false, or
                there are too few positions for the head's inputs.
        """
        (stages, targets), (val_stages, val_targets) = (
            self._stages(model, trained, split) for split in ("train", "val")
        )

        @functools.cache
        def outputs(grid: Grid) -> list[list[Tensor]]:
            return [[on_grid(target, grid) for target in of_split] for of_split in (targets, val_targets)]

        centered = (val - train.mean(dim=0) for train, val in zip(targets, val_targets, strict=True))
        of_mean = torch.stack([each.square().sum() for each in centered]).sum()

        def grid_of(place: tuple[list[State], list[State]]) -> Grid:
            return common_grid(place[0][0], targets[0].shape[2:])

        errors = []
        for stage, val_stage in zip(stages, val_stages, strict=True):
            by_place: list[float] = []
            for grid, same_grid in itertools.groupby(zip(stage, val_stage, strict=True), key=grid_of):
                places, val_places = zip(*same_grid, strict=True)
                own, val_own = outputs(grid)
                heads = fit_heads(places, own, grid, self.ridge)
                by_place += (squared_errors(heads, val_places, val_own, grid) / of_mean).tolist()
            errors += itertools.pairwise(by_place)  # the next block reads what a block writes
        require_finite(torch.tensor(errors), "blocks' errors of a linear head")
        return errors

    def _stages(
        self, model: nn.Module, trained: Trained, split: SplitName
    ) -> tuple[list[list[list[State]]], list[Tensor]]:
        """On the evaluation batch: what the network holds, by stage, place and level, and the target, by level."""
        levels = [noised for *_, noised in self.eval_batch.noised(trained.objective, trained.split(split), split)]
        targets = [as_image(noised.target).double() for noised in levels]
        return stage_states(trained.objective, model, levels), targets
