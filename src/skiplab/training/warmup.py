"""How a learning rate rises to its full value."""

from typing import Any

from skiplab.errors import SkiplabError


def check_warmup(warmup_steps: Any, num_steps: int) -> None:
    """Check that a warm-up ends within the trial, so that training reaches the full learning rate.

    Raises:
        SkiplabError: if warmup_steps isn't a whole number of at least 0 and below num_steps.
    """
    if not isinstance(warmup_steps, int) or isinstance(warmup_steps, bool) or not 0 <= warmup_steps < num_steps:
        raise SkiplabError(
            f"scheduler.warmup_steps={warmup_steps} is invalid; valid: a whole number of at least 0 and "
            f"below trainer.max_steps={num_steps}"
        )
