"""The run of Weights & Biases that belongs to a trial."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.loggers import WandbLogger

from skiplab.records.record import Record
from skiplab.training.account import account
from skiplab.training.components import MakeLogger


@contextmanager
def wandb_run(record: Record, make_logger: MakeLogger | None, study: str) -> Iterator[WandbLogger | None]:
    """Start the trial's run and end it with a copy of the record; None if there is no logger."""
    if make_logger is None:
        yield None
        return
    content = record.read()
    with account(record):
        logger = make_logger(record.key, study, content["choices"], content["factors"], record.folder)
    if logger is None:
        yield None
        return
    from skiplab.training.wandb_logger import end_run  # with wandb, which its logger has imported already

    try:
        record.update(provenance={**record.read()["provenance"], "wandb_id": logger.experiment.id})
        yield logger
    finally:
        end_run(logger, record.folder)
