"""How a learning rate rises to its full value."""

from typing import Any

from skiplab.errors import SkiplabError


def check_warmup(warmup_steps: Any, num_steps: int) -> None:
    """Refuse a warm-up that isn't over within the trial, which would never reach the rate that its record names.

    Raises:
        SkiplabError: where warmup_steps isn't a whole number from 0, below num_steps.
    """
    if not isinstance(warmup_steps, int) or isinstance(warmup_steps, bool) or not 0 <= warmup_steps < num_steps:
        raise SkiplabError(
            f"scheduler.warmup_steps={warmup_steps} is invalid; valid: a whole number from 0, below "
            f"trainer.max_steps={num_steps}"
        )
