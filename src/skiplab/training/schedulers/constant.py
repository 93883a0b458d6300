from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from skiplab.training.warmup import check_warmup


class Constant(LambdaLR):
    """A constant learning rate after a linear warm-up, lr_t = lr min(1, (t + 1) / (warmup_steps + 1)).

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2 (gradual warm-up).
    Differs from the source: no decay.

    Args:
        optimizer: the optimizer whose learning rates are scaled (runtime).
        num_steps: the trial's length in steps (runtime).
        warmup_steps: steps before the full rate, at least 0 and below num_steps.

    Raises:
        SkiplabError: if warmup_steps is out of range.
    """

    def __init__(self, optimizer: Optimizer, num_steps: int, *, warmup_steps: int) -> None:
        check_warmup(warmup_steps, num_steps)
        super().__init__(optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1)))
