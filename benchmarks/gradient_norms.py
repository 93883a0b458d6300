"""What gradient norms of every layer cost a step: the instrument, one `self.log` a parameter, `wandb.watch`.

    python benchmarks/gradient_norms.py ROUNDS

All at every step, on the U-Net of a digits trial with a Weights & Biases run offline, on one thread; what each adds to
the same training without it, in processor time of this process, in turns.
"""

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import pytorch_lightning as pl
import torch
import wandb
from hydra import compose, initialize_config_dir
from judged import judged
from pytorch_lightning.loggers import WandbLogger

from skiplab.instruments.instrument import Instrument
from skiplab.instruments.observer import Observer
from skiplab.layers import inspect_network
from skiplab.paths import project_dir
from skiplab.training.build import build
from skiplab.training.components import Components
from skiplab.training.factory import factory
from skiplab.training.module import AblationModule
from skiplab.training.quiet import quiet

NUM_STEPS = 60
TARGET = 1.5  # times as cheap


class Nowhere:
    """A table whose rows are formatted and dropped."""

    def append(self, rows) -> None:
        "".join(",".join(map(str, row)) for row in rows)


class PerParameter(pl.Callback):
    """One `self.log` for each parameter's norm, at each step."""

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                module.log(f"gradient/{name}", parameter.grad.norm())


@contextmanager
def watched(components: Components, logger: WandbLogger):
    logger.experiment.watch(components.model, log="gradients", log_freq=1)
    try:
        yield
    finally:
        logger.experiment.unwatch(components.model)


def seconds(
    callbacks: Callable[[Components], list[pl.Callback]],
    around: Callable[[Components, WandbLogger], AbstractContextManager],
) -> float:
    """Processor seconds of a short training."""
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        config = compose("train", ["depth=8", "batch_size=64", "instrument=[]", "evaluator=[]"])
    components = build(config)
    module = AblationModule(
        components.model,
        components.objective,
        components.data.train,
        augmentation=components.augmentation,
        batch_size=config.batch_size,
        seed=0,
        optimizer=components.optimizer,
        scheduler=components.scheduler,
    )
    with tempfile.TemporaryDirectory() as folder:
        logger = WandbLogger(save_dir=folder, offline=True, project="bench")
        trainer = pl.Trainer(
            max_steps=NUM_STEPS,
            logger=logger,
            log_every_n_steps=1,
            callbacks=callbacks(components),
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with around(components, logger):
            started = time.process_time()
            trainer.fit(module)
            taken = time.process_time() - started
        wandb.finish()
    return taken


def observer(components: Components) -> list[pl.Callback]:
    with initialize_config_dir(str(project_dir("conf")), version_base="1.3"):
        config = compose("train", ["instrument=[gradient_flow]", "instrument.gradient_flow.every_n_steps=1"])
    instrument = factory(config.instrument.gradient_flow, Instrument)()
    network = inspect_network(components.model, *components.objective.example(components.data.train.shape))
    return [Observer([instrument], network=network, table=Nowhere())]


WAYS = {
    "without": partial(seconds, lambda components: [], lambda *_: nullcontext()),
    "instrument": partial(seconds, observer, lambda *_: nullcontext()),
    "self.log": partial(seconds, lambda components: [PerParameter()], lambda *_: nullcontext()),
    "wandb.watch": partial(seconds, lambda components: [], watched),
}


def main(rounds: int) -> None:
    quiet()
    torch.set_num_threads(1)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds + 1):  # the first round pays for imports
        for name, way in WAYS.items():
            taken[name].append(way())
    added = {
        name: [1000 * (a - b) / NUM_STEPS for a, b in zip(taken[name][1:], taken["without"][1:], strict=True)]
        for name in WAYS
    }
    step = 1000 * statistics.median(taken["without"][1:]) / NUM_STEPS
    print(f"{platform.machine()}, torch {torch.__version__}, wandb {wandb.__version__}; {rounds} rounds")
    print(f"a step without takes {step:.1f} ms")
    for name in list(WAYS)[1:]:
        print(f"{name} adds {statistics.median(added[name]):.2f} ms ({min(added[name]):.2f} to {max(added[name]):.2f})")
    missed = []
    for name in ("self.log", "wandb.watch"):
        ratios = [other / own for other, own in zip(added[name], added["instrument"], strict=True)]
        missed += judged(f"{name} over the instrument", ratios, at_least=TARGET)
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
