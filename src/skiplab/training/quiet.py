"""Silences the advice of libraries; their errors are still printed."""

import logging
import os
import warnings
from functools import cache


@cache  # setting a level writes to every logger there is
def quiet() -> None:
    """Silence hints of Lightning, torchmetrics and W&B that don't concern the trial, once in a process and its forks.

    Call this after importing Lightning, which sets its own log level.
    """
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("WANDB_SILENT", "true")
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torchmetrics)\..*")
