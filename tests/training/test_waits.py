"""A step fetches nothing from the device, and writes no file, but where the logging schedule says so."""

import itertools

import pytest
import pytorch_lightning as pl
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skiplab.records import record
from skiplab.training import trainer
from tiny_trials import run_tiny

LOG_EVERY, MEASURE_EVERY, NUM_STEPS = 5, 10, 20
SCHEDULE = (
    f"trainer.max_steps={NUM_STEPS}",
    f"run.log_every_steps={LOG_EVERY}",
    "run.checkpoint_every_steps=1000",
    "optimizer=sgd",  # Adam on a CPU reads its counters of steps, which lie in main memory on a GPU too
)


class Fetches(TorchDispatchMode):
    """Counts the values that are fetched: each would make the program wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(options or {}))


class PerStep(pl.Callback):
    """What each step fetched and how often it wrote, instruments and recorder included."""

    def __init__(self) -> None:
        self.fetches, self.writes, self.seen = Fetches(), 0, []

    def on_train_start(self, trainer, module) -> None:
        self.fetches.__enter__()

    def on_train_end(self, trainer, module) -> None:
        self.fetches.__exit__(None, None, None)

    def on_train_batch_start(self, trainer, module, batch, batch_index) -> None:
        self.seen.append((self.fetches.count, self.writes))


@pytest.fixture(scope="module")
def per_step(tmp_path_factory) -> list[tuple[int, int]]:
    """(values fetched, tables appended to) by each of the steps."""
    counter = PerStep()
    make, append = trainer.make_trainer, record.AppendedTable.append

    def counted(table, rows) -> None:
        counter.writes += 1
        append(table, rows)

    def watched(callbacks, *rest, **own) -> pl.Trainer:
        return make([counter, *callbacks], *rest, **own)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(record.AppendedTable, "append", counted)
        patched.setattr(trainer, "make_trainer", watched)
        measured = (f"instrument.{name}.every_n_steps={MEASURE_EVERY}" for name in ("gradient_flow", "update_ratio"))
        run_tiny(tmp_path_factory.mktemp("runs"), *SCHEDULE, *measured)
    marks = [*counter.seen, (counter.fetches.count, counter.writes)]
    return [(after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(marks)]


def test_steps_between_logging_steps_fetch_and_write_nothing(per_step) -> None:
    assert len(per_step) == NUM_STEPS
    quiet = [step for step in range(NUM_STEPS) if step % MEASURE_EVERY and (step + 1) % LOG_EVERY]
    assert [per_step[step] for step in quiet] == [(0, 0)] * len(quiet)


def test_logging_steps_do(per_step) -> None:
    for step in range(LOG_EVERY - 1, NUM_STEPS, LOG_EVERY):
        assert per_step[step][1] > 0
