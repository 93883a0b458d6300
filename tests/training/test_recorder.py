"""The recorder notes every loss, and each step whose update was left out."""

from contextlib import closing
from types import SimpleNamespace

import pandas as pd
import torch
from torch import nn

from skiplab.instruments.observer import Observer
from skiplab.layers import inspect_network
from skiplab.records.appended_table import AppendedTable
from skiplab.training.divergence import Divergence
from skiplab.training.recorder import Recorder


def test_a_step_without_an_update_is_noted(tmp_path) -> None:
    """As where mixed precision leaves an update out, since a scaled gradient overflowed."""
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    trainer = SimpleNamespace(
        optimizers=[optimizer],
        precision_plugin=SimpleNamespace(scaler=torch.amp.GradScaler("cpu")),
        global_step=0,
        max_steps=3,
        logger=None,
        should_stop=False,
    )
    with closing(AppendedTable(tmp_path / "history.csv", ("step", "metric", "value"))) as history:
        recorder = Recorder(history, Divergence(zero_loss=1.0, factor=100.0), log_every_steps=10)
        recorder.on_train_start(trainer, None)
        for step in range(3):
            loss = model(torch.ones(1, 2)).sum()
            loss.backward()
            if step != 1:
                optimizer.step()
            trainer.global_step = step + 1
            recorder.on_train_batch_end(trainer, None, {"loss": loss}, None, step)
    rows = pd.read_csv(tmp_path / "history.csv")
    assert rows[rows["metric"] == "skipped_update"]["step"].tolist() == [1]
    assert rows[rows["metric"] == "loss"]["step"].tolist() == [0, 1, 2]


def test_instruments_are_told_the_factor_of_mixed_precision(tmp_path) -> None:
    told = []

    class Told:
        def is_due(self, step: int) -> bool:
            return step == 0

        def begin(self, network, step: int) -> None: ...

        def before_update(self, loss_scale: float) -> None:
            told.append(loss_scale)

    network = inspect_network(nn.Linear(2, 1), torch.zeros(1, 2))
    with closing(AppendedTable(tmp_path / "layers.csv", ("step", "index", "path", "quantity", "value"))) as table:
        observer = Observer([Told()], network=network, table=table)
        for scaler in (None, torch.amp.GradScaler("cpu", init_scale=512.0)):
            trainer = SimpleNamespace(global_step=0, precision_plugin=SimpleNamespace(scaler=scaler))
            observer.on_train_batch_start(trainer, SimpleNamespace(), None, 0)
            observer.on_before_optimizer_step(trainer, None, None)
    assert told == [1.0, 512.0]
