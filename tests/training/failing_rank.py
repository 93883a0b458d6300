"""A connection that raises on the second rank, so that tests see what becomes of the others."""

from torch import Tensor, distributed

from skiplab.blocks.connection import Connection


class FailingRank(Connection):
    """x_{l+1} = x_l + f(x_l), until a rank is lost."""

    passes = 0

    def join(self, stream: Tensor, update: Tensor, cond: Tensor | None) -> Tensor:
        self.passes += self.training
        if self.passes > 3 and distributed.is_initialized() and distributed.get_rank() == 1:
            raise ValueError("the power went")
        return stream + update


NODE = {"_target_": "failing_rank.FailingRank"}
