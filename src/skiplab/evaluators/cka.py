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

    With X and Y the streams of all n images of a noise level, a row an image, K = X X^T and L = Y Y^T without their
    diagonals, and 1 a vector of ones,

        CKA = h(K, L) / sqrt(h(K, K) h(L, L)),
        h(K, L) = tr(K L) + (1^T K 1) (1^T L 1) / ((n - 1) (n - 2)) - 2 / (n - 2) 1^T K L 1,

    1 if one stream is the other rotated and scaled. For streams that have nothing in common it lies about 0, on either
    side, however many features they have. The mean over levels is reported. Block 0 is the first block's input. The
    evaluation batch consists of validation images.

    Source: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, arXiv:1905.00414, eq. 4, with
        a linear kernel and the unbiased estimator h of Song et al. 2012, Feature Selection via Dependence Maximization,
        as in Nguyen et al. 2021, Do Wide and Deep Networks Learn the Same Things?, arXiv:2010.15327, eq. 3
        (equations from memory).
    Differs from the source: at each noise level separately, since all streams would share the level; over all images at
        once, not in minibatches. A stream that is equal for all images has similarity 0.

    Args:
        num_images: validation images, at every noise level, from 4.
        num_levels: noise levels.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "cka_neighbors": Metric(label="similarity (CKA) before and after a block", direction=None, role="mechanism"),
        "cka_first_last": Metric(label="similarity (CKA) of first and last stream", direction=None, role="mechanism"),
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
            value="similarity (linear CKA, unbiased: about 0 to 1)",
        ),
        "cka_neighbors": Chart(
            title="Similarity of neighboring blocks",
            caption="Linear CKA of the streams before and after a block, averaged over blocks. Near 1, a block adds a "
            "small step to its input. Each seed, and each arm's mean with its 95% interval.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_images: int, num_levels: int) -> None:
        if num_images < 4:
            raise SkiplabError(f"evaluator.cka.num_images={num_images} is invalid; valid: a whole number from 4")
        self.eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)

    def evaluate(self, trained: Trained) -> Result:
        by_level = []
        for *_, noised in self.eval_batch.noised(trained.objective, trained.data.val, "val"):
            stages = stage_streams(trained.objective, trained.model, noised)
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
    """Unbiased CKA of every two streams of the same samples, 4 or more, in float64.

    h(K, L) is the inner product of the two matrices after `_centered`, Szekely and Rizzo 2014, Partial distance
    correlation, arXiv:1310.2926, section 3.
    """
    grams = []
    for stream in streams:
        features = stream.flatten(1).double()
        features = features - features.mean(dim=0)  # changes nothing but the rounding
        gram = _centered(features @ features.T).flatten()
        grams.append(F.normalize(gram, dim=0, eps=torch.finfo(gram.dtype).tiny))
    stacked = torch.stack(grams)
    return (stacked @ stacked.T).clamp(-1, 1)


def _centered(gram: Float[Tensor, "sample sample"]) -> Float[Tensor, "sample sample"]:
    """A symmetric matrix without its diagonal, minus what a sum of a row's and a column's term explains of the rest."""
    n = len(gram)
    off_diagonal = gram - gram.diagonal().diag()
    rows = off_diagonal.sum(dim=1) / (n - 2)
    centered = off_diagonal - rows[:, None] - rows[None, :] + rows.sum() / (n - 1)
    return centered - centered.diagonal().diag()
