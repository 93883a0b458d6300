from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from skiplab.errors import SkiplabError
from skiplab.training.warmup import check_warmup


class MultiStep(LambdaLR):
    """A rate divided at milestones, lr_t = lr factor^(milestones m with t >= m T).

    Source: He et al. 2015, Deep Residual Learning, arXiv:1512.03385, section 4.2: divided by 10 after 32,000 and
        48,000 of 64,000 steps.
    Differs from the source: milestones are fractions of the trial, and scale with its length; a linear warm-up,
        lr_t = lr (t + 1) / (warmup_steps + 1), where the source warms up its 110 layers in another way.

    Args:
        optimizer: the optimizer whose learning rates are scaled (runtime).
        num_steps: T, the trial's length in steps (runtime).
        milestones: increasing fractions of the trial, between 0 and 1.
        factor: the factor of the rate at each milestone, above 0.
        warmup_steps: steps before the full rate, at least 0 and below T.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        num_steps: int,
        *,
        milestones: Sequence[float],
        factor: float,
        warmup_steps: int,
    ) -> None:
        if list(milestones) != sorted(set(milestones)) or not all(0 < milestone < 1 for milestone in milestones):
            raise SkiplabError(
                f"scheduler.milestones={list(milestones)} is invalid; valid: increasing fractions of the trial "
                "between 0 and 1, such as [0.5, 0.75]"
            )
        if not factor > 0:
            raise SkiplabError(f"scheduler.factor={factor} is invalid; valid: a number above 0")
        check_warmup(warmup_steps, num_steps)

        def scale(step: int) -> float:
            passed = sum(step >= milestone * num_steps for milestone in milestones)
            return min(1.0, (step + 1) / (warmup_steps + 1)) * factor**passed

        super().__init__(optimizer, scale)
