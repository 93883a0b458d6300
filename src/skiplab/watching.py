"""Instruments in a training loop of one's own: `skiplab.watch`, and callbacks for Lightning and Hugging Face."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import nn

from skiplab.analysis.text import unknown_name
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument
from skiplab.instruments.own_loop.callback import WatchCallback
from skiplab.instruments.own_loop.hugging_face import hugging_face_callback
from skiplab.instruments.own_loop.watch import MakeWatch, Watch
from skiplab.kinds import is_of
from skiplab.paths import project_dir
from skiplab.training.factory import factory


def watch(
    model: nn.Module,
    instruments: Sequence[str | Instrument],
    *,
    every: int = 50,
    to: str | Path = "readings.csv",
    blocks: str | None = None,
    example_inputs: Any = None,
    batch_size: int | None = None,
    zero_loss: float | None = None,
    first_step: int = 0,
) -> Watch:
    """Measure the updates of any PyTorch loop with skiplab's instruments.

        with skiplab.watch(model, ["gradient_flow", "update_ratio"], every=50, to="readings.csv") as watch:
            for x, y in batches:
                ...                 # forward, backward, clip, optimizer.step()
                watch.step(loss)    # once behind each update

    Gradients are those that the update used: summed over accumulated batches, unscaled under a GradScaler, reduced over
    the processes of DistributedDataParallel, and not yet clipped. Weights end bit-equal with and without. A step that
    isn't measured costs a few comparisons; a measured one keeps a copy of the weights and gradients until its end.

    Args:
        model: the network that the loop trains, not compiled.
        instruments: names of instruments, such as 'gradient_flow', 'update_ratio', 'activation_statistics',
            'gradient_noise' and 'stability', or instruments that you made.
        every: steps between two measurements, from 1, of instruments given by name.
        to: the file of the readings, with the columns of a record's layers.csv; `skiplab.draw_readings` draws it.
        blocks: pattern of the modules that count as blocks, such as 'layers.*'; None for the joins of a network that
            `skiplab.ablate` changed, else for the branches of its shortcuts, if there are example_inputs.
        example_inputs: arguments of one forward pass, a tuple or a mapping, in which shortcuts are found.
        batch_size: samples of an update, which the gradient noise scale needs.
        zero_loss: loss of a predictor whose output is always zero, such as log(10) for ten classes, which the steps to
            a threshold need.
        first_step: number of the first update, above 0 where training goes on; the file is then continued.

    Returns:
        A context manager with `step(loss)`, and `summary()` for the instruments' summary values.

    Raises:
        SkiplabError: an argument is invalid, the network can't be measured, or the file exists.
    """
    make = _watcher(instruments, every, blocks, example_inputs, batch_size, zero_loss)
    return make(model, Path(to), _count("first_step", first_step, 0))


class Instruments(WatchCallback):
    """skiplab's instruments as a callback of PyTorch Lightning, `Trainer(callbacks=[skiplab.Instruments([...])])`.

    It measures as `skiplab.watch` does, in automatic and in manual optimization, and logs its readings to the trainer's
    loggers too. A resumed training continues its file. After training `watch.summary()` has the summary values.

    Args:
        instruments: as in `skiplab.watch`.
        every: as in `skiplab.watch`.
        to: the file of the readings; None for readings.csv in the folder of the trainer's logger.
        blocks: as in `skiplab.watch`.
        example_inputs: as in `skiplab.watch`.
        batch_size: as in `skiplab.watch`.
        zero_loss: as in `skiplab.watch`.

    Raises:
        SkiplabError: an argument is invalid; where training starts, the network can't be measured, or the file exists.
    """

    def __init__(
        self,
        instruments: Sequence[str | Instrument],
        *,
        every: int = 50,
        to: str | Path | None = None,
        blocks: str | None = None,
        example_inputs: Any = None,
        batch_size: int | None = None,
        zero_loss: float | None = None,
    ) -> None:
        make = _watcher(instruments, every, blocks, example_inputs, batch_size, zero_loss)
        super().__init__(make, None if to is None else Path(to))


def trainer_callback(
    instruments: Sequence[str | Instrument],
    *,
    every: int = 50,
    to: str | Path | None = None,
    blocks: str | None = None,
    example_inputs: Any = None,
    batch_size: int | None = None,
) -> Any:
    """skiplab's instruments as a callback of Hugging Face's Trainer, `trainer.add_callback(...)`.

    It measures as `skiplab.watch` does. The Trainer gives callbacks no losses, so `stability` has nothing to measure.

    Args:
        instruments: as in `skiplab.watch`.
        every: as in `skiplab.watch`.
        to: the file of the readings; None for readings.csv in the trainer's output folder.
        blocks: as in `skiplab.watch`.
        example_inputs: as in `skiplab.watch`.
        batch_size: as in `skiplab.watch`.

    Returns:
        A transformers.TrainerCallback, whose `watch.summary()` has the summary values after training.

    Raises:
        SkiplabError: an argument is invalid, or transformers isn't installed.
    """
    make = _watcher(instruments, every, blocks, example_inputs, batch_size, None)
    return hugging_face_callback(make, None if to is None else Path(to))


def instrument_options() -> dict[str, Path]:
    """The YAML file of each instrument by its name."""
    return {path.stem: path for path in sorted((project_dir("conf") / "instrument").glob("*.yaml"))}


def _watcher(
    instruments: Any,
    every: Any,
    blocks: str | None,
    example_inputs: Any,
    batch_size: int | None,
    zero_loss: float | None,
) -> MakeWatch:
    """What makes the watch of a network, to a file, from the number of the first update."""
    if batch_size is not None:
        _count("batch_size", batch_size, 1)
    if zero_loss is not None and not (is_of(zero_loss, float) and 0 < zero_loss < math.inf):
        raise SkiplabError(f"zero_loss={zero_loss!r} is invalid; valid: a number above 0")
    made = _made(instruments, _count("every", every, 1))

    def make(model: nn.Module, to: Path, first_step: int) -> Watch:
        return Watch(
            model,
            made,
            to=to,
            blocks=blocks,
            example_inputs=example_inputs,
            batch_size=batch_size,
            zero_loss=zero_loss,
            first_step=first_step,
        )

    return make


def _made(given: Any, every: int) -> list[Instrument]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise SkiplabError(f"instruments={given!r} is invalid; valid: a list, such as ['gradient_flow']")
    kinds = [type(each) if isinstance(each, Instrument) else each for each in given]
    if repeated := [each for each in given if kinds.count(type(each) if isinstance(each, Instrument) else each) > 1]:
        raise SkiplabError(f"instruments has {repeated[0]!r} twice; give each once")
    return [each if isinstance(each, Instrument) else _named(each, every) for each in given]


def _named(name: Any, every: int) -> Instrument:
    """The instrument of a name, with the settings of its YAML and measuring every so many steps."""
    options = instrument_options()
    if name not in options:
        raise SkiplabError(unknown_name("instrument", str(name), list(options)))
    node = OmegaConf.create({"instrument": {name: OmegaConf.load(options[name])}}).instrument[name]
    if "every_n_steps" in node:
        node.every_n_steps = every
    return factory(node, Instrument)()


def _count(name: str, value: Any, least: int) -> int:
    if not (is_of(value, int) and value >= least):
        raise SkiplabError(f"{name}={value!r} is invalid; valid: a whole number from {least}")
    return value
