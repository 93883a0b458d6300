"""The same as a callback of Lightning's, for the autoencoder of its README, and of Hugging Face's Trainer."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from loops import gradient_norms, norm, same, values
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import skiplab
from skiplab.instruments.own_loop.readings_file import read_readings

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*",
    "ignore:.*Trainer.fit.* stopped.*",
    "ignore:.*tensorboard.*",
    "ignore:.*no `val_dataloader`.*",
    "ignore:.*smaller than the logging interval.*",
)


class LitAutoEncoder(pl.LightningModule):
    """Images of 28 x 28 to 3 numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(28 * 28, 64), nn.ReLU(), nn.Linear(64, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 28 * 28))

    def forward(self, x):
        return self.encoder(x)

    def training_step(self, batch, batch_idx):
        x = batch[0].flatten(1)
        return nn.functional.mse_loss(self.decoder(self.encoder(x)), x)

    def validation_step(self, batch, batch_idx):
        x = batch[0].flatten(1)
        self.log("val_loss", nn.functional.mse_loss(self.decoder(self.encoder(x)), x))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Seen(pl.Callback):
    """The gradients that Lightning is about to clip and use."""

    def __init__(self) -> None:
        self.norms: list[dict[str, float]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        self.norms.append(gradient_norms(pl_module))


def fit(folder, callbacks, *, module=None, ckpt_path=None, steps=6, **settings) -> pl.Trainer:
    torch.manual_seed(3)
    images = TensorDataset(torch.rand(40, 1, 28, 28))
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_steps=steps,
        logger=False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **settings,
    )
    loader = DataLoader(images, batch_size=4)
    trainer.fit(module or LitAutoEncoder(), loader, DataLoader(images, batch_size=20), ckpt_path=ckpt_path)
    return trainer


LOOPS = {
    "plain": {},
    "accumulated, clipped": {"accumulate_grad_batches": 2, "gradient_clip_val": 1e-4},
    "bf16, validated between": {"precision": "bf16-mixed", "val_check_interval": 2},
}


@pytest.mark.parametrize("loop", LOOPS)
def test_lightnings_autoencoder(loop, tmp_path) -> None:
    """Norms are a slow loop's, layers come in the order of the step, and the weights are those without the callback."""
    seen = Seen()
    callback = skiplab.Instruments(["gradient_flow", "update_ratio", "stability"], every=2, batch_size=4)
    module = fit(tmp_path, [seen, callback], **LOOPS[loop]).lightning_module
    assert same(module, fit(tmp_path, [], **LOOPS[loop]).lightning_module)
    path = tmp_path / "readings.csv"
    found = values(path, "weight_gradient_norm")
    assert list(found) == [0, 2, 4]
    for step, own in found.items():
        assert own == pytest.approx(seen.norms[step], rel=1e-6)
    rows = read_readings(path)
    order = dict(zip(rows.layers["path"], rows.layers["index"], strict=True))
    assert sorted(order, key=order.__getitem__) == ["encoder.0", "encoder.2", "decoder.0", "decoder.2"]
    assert len(rows.losses) == 6
    assert rows.losses.iloc[0] == pytest.approx(1 / 3, rel=0.2)  # of uniform numbers, from almost 0; also accumulated
    assert callback.watch is not None
    assert callback.watch.summary()["thousand_steps"] == 0.006


def test_a_resumed_training_goes_on_in_its_file_and_loggers_get_readings(tmp_path) -> None:
    logged: dict[int, dict[str, float]] = {}
    for steps in (3, 6):
        callback = skiplab.Instruments(["gradient_flow"], every=2, to=tmp_path / "r.csv")
        ckpt = tmp_path / "3.ckpt" if steps == 6 else None
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=steps,
            callbacks=[callback],
            logger=Logged(logged),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(LitAutoEncoder(), DataLoader(TensorDataset(torch.rand(40, 28, 28)), 4), ckpt_path=ckpt)
        trainer.save_checkpoint(tmp_path / f"{steps}.ckpt")
    assert list(values(tmp_path / "r.csv", "weight_gradient_norm")) == [0, 2, 4]
    assert list(logged) == [0, 2, 4]
    assert "layers/weight_gradient_norm/encoder.000" in logged[4]


class Logged(pl.loggers.Logger):
    def __init__(self, into) -> None:
        super().__init__()
        self.into = into

    name, version = "logged", 0

    def log_hyperparams(self, *_, **__) -> None:
        pass

    def log_metrics(self, metrics, step=None) -> None:
        if any(name.startswith("layers/") for name in metrics):
            self.into[step] = metrics


class TwoOptimizers(LitAutoEncoder):
    """Manual optimization, in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seen: list[dict[str, float]] = []

    def training_step(self, batch, batch_idx) -> None:
        own = {}
        for optimizer, part in zip(self.optimizers(), (self.encoder, self.decoder), strict=True):
            optimizer.zero_grad()
            x = batch[0].flatten(1)
            self.manual_backward(nn.functional.mse_loss(self.decoder(self.encoder(x)), x))
            name = "encoder" if part is self.encoder else "decoder"
            own |= {f"{name}.{n}": norm(p.grad for p in part[n].parameters()) for n in (0, 2)}
            self.clip_gradients(optimizer, 1e-3, "norm")
            optimizer.step()
        self.seen.append(own)

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.encoder, self.decoder)]


def test_manual_optimization_with_two_optimizers(tmp_path) -> None:
    module = TwoOptimizers()
    fit(tmp_path, [skiplab.Instruments(["gradient_flow"], every=2, to=tmp_path / "r.csv")], module=module, steps=8)
    found = values(tmp_path / "r.csv", "weight_gradient_norm")
    assert list(found) == [0, 2]  # a step is a batch with updates, of which Lightning counts two
    for step, own in found.items():
        assert own == pytest.approx(module.seen[step], rel=1e-6)


class Accumulating(LitAutoEncoder):
    """Steps once in two batches, by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.losses: list[float] = []

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss / 2)
        if batch_idx % 2:
            self.optimizers().step()
            self.optimizers().zero_grad()
        self.losses.append(loss.item())
        return loss


def test_in_manual_optimization_an_updates_loss_is_its_batches_mean(tmp_path) -> None:
    module = Accumulating()
    fit(tmp_path, [skiplab.Instruments(["stability"], to=tmp_path / "r.csv")], module=module, steps=3)
    means = [(first + second) / 2 for first, second in zip(module.losses[::2], module.losses[1::2], strict=True)]
    assert read_readings(tmp_path / "r.csv").losses.tolist() == pytest.approx(means, rel=1e-6)


def test_hugging_faces_trainer(tmp_path) -> None:
    """The calls that a Trainer makes, in its order; the Trainer itself needs a package that isn't installed."""
    callback = skiplab.trainer_callback(["gradient_flow"], every=2)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    args, state, control = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=0), None
    callback.on_train_begin(args, state, control, model=model, processing_class=None)
    expected = []
    for _ in range(3):
        callback.on_step_begin(args, state, control, model=model)
        model(torch.randn(2, 3)).square().mean().backward()
        expected.append(gradient_norms(model))
        optimizer.step()
        callback.on_optimizer_step(args, state, control, model=model)
        model.zero_grad()
        state.global_step += 1
        callback.on_step_end(args, state, control, model=model)
    callback.on_train_end(args, state, control, model=model)
    found = values(tmp_path / "readings.csv", "weight_gradient_norm")
    assert found == {step: pytest.approx(expected[step], rel=1e-6) for step in (0, 2)}
