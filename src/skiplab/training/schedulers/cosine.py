import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from skiplab.training.warmup import check_warmup


class Cosine(LambdaLR):
    """Half a cosine down to zero after a linear warm-up, lr_t = lr (1 + cos(pi (t - w) / (T - w))) / 2 from step w on.

    Source: Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983, eq. 5, without restarts.
    Differs from the source: a warm-up of w steps, lr_t = lr (t + 1) / (w + 1).

    Args:
        optimizer: the optimizer whose learning rates are scaled (runtime).
        num_steps: T, the trial's length in steps (runtime).
        warmup_steps: w, at least 0 and below T.

    Raises:
        SkiplabError: if warmup_steps is out of range.
    """

    def __init__(self, optimizer: Optimizer, num_steps: int, *, warmup_steps: int) -> None:
        check_warmup(warmup_steps, num_steps)

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / (warmup_steps + 1)
            return (1 + math.cos(math.pi * (step - warmup_steps) / (num_steps - warmup_steps))) / 2

        super().__init__(optimizer, factor)
