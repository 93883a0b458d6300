from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.streams.stage_streams import stage_streams
from skiplab.metrics import Metric


class CKA(Evaluator):
    """How similar the blocks' representations of images are: linear CKA between the streams after any two blocks.

    With X and Y the streams of all images of a noise level, a row an image, K = X X^T and L = Y Y^T, and H the matrix
    that takes the mean off each column,

        CKA = tr(K H L H) / sqrt(tr(K H K H) tr(L H L H)),

    1 if one stream is the other rotated and scaled, 0 if they have nothing in common; the mean over levels is
    reported. Block 0 is the first block's input. The evaluation batch consists of validation images.

    Source: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, arXiv:1905.00414, eq. 3-4
        with a linear kernel.
    Differs from the source: at each noise level separately, since all streams would share the level. A stream that is
        equal for all images has similarity 0. As in the source, similarities are larger, alike in all arms, if there
        are fewer images than features.

    Args:
        num_images: validation images, at every noise level, from 2.
        num_levels: noise levels.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "cka_neighbors": Metric(
            label="similarity (CKA) before and after a block", direction=None, scale="bounded", role="mechanism"
        ),
        "cka_first_last": Metric(
            label="similarity (CKA) of first and last stream", direction=None, scale="bounded", role="mechanism"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "similarity_by_blocks": Chart(
            title="How alike the blocks' streams are",
            caption="Linear CKA between the streams after any two blocks, averaged over noise levels; block 0 is the "
            "first block's input. Bright squares are runs of blocks that change little; dark stripes are blocks that "
            "differ from the others.",
            kind="heat",
            x="block, from input to output",
            y="block, from input to output",
            value="similarity (linear CKA, 0 to 1)",
        ),
        "cka_neighbors": Chart(
            title="Similarity of neighboring blocks",
            caption="Linear CKA of the streams before and after a block, averaged over blocks. Near 1, a block adds a "
            "small step to its input. Each seed, and each arm's mean with its 95% interval.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        if num_images < 2:
            raise SkiplabError(f"evaluator.cka.num_images={num_images} is invalid; valid: a whole number from 2")
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        by_level = []
        for *_, noised in self.eval_batch.noised(trained.objective, trained.data.val, "val"):
            stages = stage_streams(trained.objective, trained.model, [noised])
            after_blocks = (stream for _, *streams in stages for stream in streams)
            by_level.append(linear_cka([stages[0][0], *after_blocks]))
        found = torch.stack(by_level).mean(dim=0)
        summary = {
            "cka_neighbors": float(found.diagonal(1).mean()),
            "cka_first_last": float(found[0, -1]),
        }
        measurements = [
            Measurement("similarity_by_blocks", x, value, y=y)
            for x, row in enumerate(found.tolist())
            for y, value in enumerate(row)
        ]
        return Result(
            summary, measurements=measurements, details={"num_images": self.eval_batch.count(trained.data.val)}
        )


def linear_cka(streams: Sequence[Float[Tensor, "sample channel *positions"]]) -> Float[Tensor, "stream stream"]:
    """CKA of every two streams of the same samples, in float64."""
    grams = []
    for stream in streams:
        features = stream.flatten(1).double()
        centered = features - features.mean(dim=0)
        # tr(K H L H) is the inner product of the two matrices H K H and H L H
        gram = (centered @ centered.T).flatten()
        grams.append(F.normalize(gram, dim=0, eps=torch.finfo(gram.dtype).tiny))
    stacked = torch.stack(grams)
    return (stacked @ stacked.T).clamp(0, 1)
