"""Studies of LightningModules: records, resumption, tables, verdicts, and what can't be fair is told."""

import os
import random
import re

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import skiplab
from command_line import run_command
from forked_process import Forked
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.training.own_module.keyed_batches import KeyedBatches, KeyedLoader

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
SHORT = {"trainer.max_steps": 12, "logger": "none", "run.checkpoint_every_steps": 5, "run.log_every_steps": 3}


class Lit(pl.LightningModule):
    """A small network that a factor gives shortcuts, with dropout, trained on shuffled and noised batches."""

    dies_at: int | None = None

    def __init__(self, residual: bool, extra: bool = False, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        if extra:
            self.extra = nn.Linear(4, 4)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(4, 1)
        self.residual, self.lr = residual, lr

    def forward(self, x):
        for layer in self.layers:
            update = self.drop(layer(x)).tanh()
            x = x + update if self.residual else update
        return self.head(x)[:, 0]

    def training_step(self, batch, batch_idx):
        if self.global_step == self.dies_at:
            os._exit(9)
        x, y = batch
        loss = nn.functional.mse_loss(self(x + 0.1 * torch.randn_like(x)), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log_dict({"val_loss": nn.functional.mse_loss(self(batch[0]), batch[1]), "odd": float("nan")})

    def test_step(self, batch, batch_idx):
        self.log("test_loss", nn.functional.mse_loss(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Drawn(torch.utils.data.Dataset):
    """Samples with augmentations from three generators."""

    def __init__(self, x, y) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index] + torch.rand(()) + np.random.rand() + random.random(), self.y[index]  # noqa: NPY002


class Data(pl.LightningDataModule):
    def __init__(self, batch_size: int = 8) -> None:
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(60, 4, generator=generator)
        self.y = self.x.prod(dim=1)

    def train_dataloader(self):
        generator = torch.Generator().manual_seed(1)  # goes on from epoch to epoch
        return DataLoader(Drawn(self.x[:40], self.y[:40]), self.batch_size, shuffle=True, generator=generator)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.x[40:50], self.y[40:50]), 10)

    def test_dataloader(self):
        return DataLoader(TensorDataset(self.x[50:], self.y[50:]), 10)


def study(runs_dir, **changes):
    asked = {
        "make_module": Lit,
        "datamodule": Data,
        "factors": {"residual": [False, True]},
        "seeds": [0, 1, 2],
        "metrics": {"val_loss": "lower", "test_loss": "lower", "train_loss": "lower"},
        "runs_dir": runs_dir,
        "settings": SHORT,
    }
    return skiplab.study(**(asked | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    runs_dir = tmp_path_factory.mktemp("runs")
    return study(runs_dir)


CLAIMS = """
question: Do shortcuts lower the loss?
factor: module.residual
control: 'false'
treatment: 'true'
claims:
  - name: lower
    text: Shortcuts lower the loss.
    metric: test_loss
    contrast: difference
    direction: lower
    smallest_effect: 0.01
"""


def test_a_claim_is_judged(trained, tmp_path, undrawn) -> None:
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    words = ["report", "Lit", "--claims", str(tmp_path / "claims.yaml"), "--runs-dir", str(trained.runs_dir)]
    printed = run_command(words)
    assert printed.code == 0
    assert "Shortcuts lower the loss." in printed.text
    assert re.search("supported|contradicted|inconclusive|no meaningful difference", printed.text)


def test_no_command_is_advised_that_cannot_train_it(trained) -> None:
    (verdict,) = trained.compare("test_loss")
    assert verdict.study == ""
    ended = run_command(["decide", trained.name, f"run.runs_dir={trained.runs_dir}"])
    assert ended.code == 1
    assert "is of a LightningModule, which Python trains: give skiplab.study more seeds" in ended.text


def test_two_arms_and_three_seeds_have_records_a_table_and_figures(trained) -> None:
    trials = trained.trials
    assert set(trials["status"]) == {"done"}
    assert trained.factors == ("module.residual",)
    assert len(set(trials["test_loss"])) == 6
    assert set(trials["num_layers"]) == {4}
    assert trials["flops_per_sample"].isna().all()
    printed = run_command(["table", "Lit", "--metric", "test_loss", "--runs-dir", str(trained.runs_dir)])
    assert printed.code == 0
    assert "test_loss, lower is better" in printed.text
    assert "starts from other values" not in printed.text
    words = ["figures", "Lit", "--format", "svg", "--only", "weight_gradient_norm"]
    printed = run_command([*words, "--runs-dir", str(trained.runs_dir)])
    assert (printed.code, "weight_gradient_norm.svg" in printed.text) == (0, True)
    assert run_command(["status", "Lit", "--runs-dir", str(trained.runs_dir)]).code == 0


class SeededData(Data):
    """Data that differ with the trial's seed."""

    def __init__(self, seed: int, batch_size: int = 8) -> None:
        super().__init__(batch_size)
        self.seed = seed


def test_an_argument_that_gets_the_seed_is_no_factor(tmp_path) -> None:
    """Else each seed would be a cell of its own, in which nothing can be decided."""
    found = study(tmp_path, datamodule=SeededData, seeds=[3, 4])
    assert found.factors == ("module.residual",)
    assert list(found.table("test_loss").frame["n"]) == [2]


def test_metrics_are_those_of_the_last_weights(trained) -> None:
    """A slow validation of the saved weights gives the recorded numbers."""
    for trial in trained.trials.to_dict("records"):
        module, data = Lit(trial["module.residual"] == "true").eval(), Data()
        module.load_state_dict(load_file(trained.runs_dir / trial["key"] / "weights.safetensors"))
        data.setup("test")
        loss = (module(data.x[50:]) - data.y[50:]).square().mean().item()
        assert trial["test_loss"] == pytest.approx(loss, rel=1e-6)


def test_another_call_trains_nothing(trained, capsys) -> None:
    again = study(trained.runs_dir)
    assert capsys.readouterr().out.count("already done") == 6
    assert again.trials["test_loss"].equals(trained.trials["test_loss"])


def test_the_record_keeps_no_switch_of_the_command(trained) -> None:
    config = yaml.safe_load((trained.runs_dir / trained.trials["key"][0] / "config.yaml").read_text(encoding="utf-8"))
    assert config["run"]["study"] == "Lit"
    assert not {"rerun", "retry_failed", "dry_run"} & config["run"].keys()


def test_killed_and_resumed_bit_equal(trained, tmp_path, monkeypatch, capsys) -> None:
    """Killed in the middle of the second epoch, three steps behind its checkpoint; other instructions are told."""

    def die() -> None:
        Lit.dies_at = 8
        study(tmp_path, seeds=[1])

    killed = Forked(die)
    killed.communicate(timeout=100)
    assert killed.returncode == 9
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")  # too late for kernels that are loaded
    resumed = study(tmp_path, seeds=[1])
    assert "goes on with" in capsys.readouterr().out
    for trial in resumed.trials.to_dict("records"):
        same = trained.trials.set_index("key").loc[trial["key"]]
        assert trial["test_loss"] == same["test_loss"]
        assert trial["train_loss"] == same["train_loss"]
        one, other = (load_file(s.runs_dir / trial["key"] / "weights.safetensors") for s in (trained, resumed))
        assert all(torch.equal(one[name], other[name]) for name in one)
        for table in ("history", "layers"):
            values = [getattr(s, table) for s in (trained, resumed)]
            rows = [each[each["key"] == trial["key"]].drop_duplicates() for each in values]
            order = ["step", *(name for name in ("path", "quantity", "metric") if name in rows[0])]
            first, second = (each.sort_values(order)["value"].tolist() for each in rows)
            assert first == second
            assert len(first) > 10


def test_arms_that_start_from_other_weights_are_told(tmp_path, capsys, undrawn) -> None:
    found = study(tmp_path, factors={"extra": [False, True]}, settings={**SHORT, "residual": True}, seeds=[0])
    told = "true starts from other values than false in 8 of the 8 weights that both have, such as layers.0.weight"
    assert told in capsys.readouterr().out
    assert run_command(["report", "Lit", "--runs-dir", str(tmp_path)]).code == 0
    assert told in (tmp_path / "studies" / "Lit" / "report.html").read_text()
    assert found.factors == ("module.extra",)


def test_what_is_not_logged_is_missing_and_what_diverges_ends(tmp_path) -> None:
    metrics = {"odd": "lower", "absent": None, "val_loss": Metric(label="loss", direction="lower", if_diverged=9.0)}
    found = study(
        tmp_path, factors={"lr": [0.01, 1e30]}, settings={**SHORT, "residual": True}, seeds=[0], metrics=metrics
    )
    done, diverged = (found.trials[found.trials["status"] == status] for status in ("done", "diverged"))
    missing = found.missing[done["key"].item()]
    assert missing["odd"] == "it isn't a finite number"
    assert missing["absent"].startswith("the module doesn't log it; it logs odd, test_loss, train_loss, val_loss")
    assert diverged["diverged_step"].item() < 12
    assert found.metrics["val_loss"].if_diverged == 9.0
    assert diverged["diverged"].item() == 1


def test_the_batches_that_were_trained_on_are_left_out_after_a_resumption() -> None:
    trainer = type("Trainer", (), {"current_epoch": 2})()
    loader = DataLoader(Drawn(torch.zeros(10, 1), torch.arange(10)), 2, shuffle=True)
    unbroken = list(KeyedLoader(loader, KeyedBatches(0), trainer))
    torch.rand(3)
    resumed = KeyedBatches(0)
    resumed.load_state_dict({"batches": [2, 3]})
    rest = list(KeyedLoader(loader, resumed, trainer))
    assert len(rest) == 2
    assert all(torch.equal(a[0], b[0]) for a, b in zip(unbroken[3:], rest, strict=True))


class NoData(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch[0]).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


REFUSED = {
    "an instance": ({"make_module": Lit(True)}, "make_module is a network, a Lit; give a class or a function"),
    "data that are an instance": ({"datamodule": Data()}, "datamodule is a value, a Data; give a class"),
    "a lambda": ({"make_module": lambda: Lit(True)}, "can't be imported"),
    "no module": ({"make_module": Data, "factors": {}}, "makes a Data; valid: a pytorch_lightning.LightningModule"),
    "both": ({"model_factory": Lit}, "give either make_module and datamodule, or model_factory and data"),
    "neither": ({"make_module": None}, "study needs model_factory and data"),
    "unknown factor": ({"factors": {"resdual": [True]}}, "resdual is no argument .* valid: residual, extra"),
    "a missing argument": ({"factors": {}}, "needs residual; give each in factors"),
    "an axis": ({"factors": {"residual": [True], "connection": ["plain"]}}, "connection is no argument of the module"),
    "no metrics": ({"metrics": None}, "metrics is missing; give the metrics that the module logs"),
    "a direction": ({"metrics": {"val_loss": "up"}}, "'up' is invalid; valid: 'higher' or 'lower'"),
    "a column": ({"metrics": {"step": "lower"}}, "'step', which is a column of every study"),
    "twice": ({"settings": {**SHORT, "residual": True}}, "residual is given twice"),
    "a setting": ({"settings": {"trainer.max_steps": 0}}, "trainer.max_steps=0 is invalid; valid: a whole"),
    "an instrument": ({"settings": {"instrument": ["skill_allocation"]}}, "SkillAllocation needs the objective"),
    "seed": ({"factors": {"residual": [True], "seed": [1]}}, r"use study\(seeds=...\) instead"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, tmp_path) -> None:
    changes, message = REFUSED[case]
    with pytest.raises(SkiplabError, match=message):
        study(tmp_path / "runs", **changes)
    assert not (tmp_path / "runs").exists()


def test_a_module_without_data_fails_with_the_reason(tmp_path) -> None:
    with pytest.raises(SkiplabError, match=r"(?s)1 of 1 trials failed:.*NoData has no train_dataloader"):
        study(tmp_path, make_module=NoData, datamodule=None, factors={}, seeds=[0])


def test_a_record_is_not_loaded_as_another_kind(trained) -> None:
    with pytest.raises(SkiplabError, match="is a trial of a LightningModule"):
        skiplab.load(trained.runs_dir / trained.trials["key"].iloc[0])
