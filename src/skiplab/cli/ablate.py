"""`skiplab ablate`: what each shortcut of a trained network carries."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import nn

from skiplab.analysis import terminal
from skiplab.analysis.figures.palette import to_svg
from skiplab.analysis.output_files import write, writing
from skiplab.errors import SkiplabError
from skiplab.measured_shortcuts import Loss, measure_shortcuts
from skiplab.pretrained_networks import CONFIG as PRETRAINED
from skiplab.pretrained_networks import pretrained
from skiplab.records.file_names import CONFIG, RECORD
from skiplab.records.spreadsheet import csv_text
from skiplab.surgery.find_shortcuts import find_shortcuts
from skiplab.surgery.shortcut import Kind
from skiplab.targets import find_target
from skiplab.training.load import load
from skiplab.training.record_loss import record_loss

if TYPE_CHECKING:
    from skiplab.factory_study.fine_tuned import Training

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)
_RETURNS = "(model, example inputs, loss), where loss(model) is a number"


class _Checkpoint(NamedTuple):
    """A trained network, the arguments of one forward pass, and its loss."""

    model: nn.Module
    example_inputs: Any
    loss: Loss


def ablate_command(
    model: str,
    *,
    weights: Path | None,
    path: str,
    kinds: Sequence[Kind] | None,
    factors: Sequence[float],
    to: Path,
    trust: bool,
    training: "Training | None",
) -> None:
    """Print the shortcuts of a trained network and what each carries; write a table and a figure of it.

    If it is to be trained on, it is then, with its shortcuts and without, and a verdict is printed.

    Args:
        model: the folder of a record, runs/KEY; a folder of `save_pretrained`; or `module:function`, a function that
            returns the network, the arguments of one forward pass, and a function from the network to its loss.
        weights: a state dict that such a network loads, written by torch.save or as safetensors.
        path: a pattern of the modules whose shortcuts are changed.
        kinds: of the shortcuts; None for all that can be replaced.
        factors: of the stream.
        to: the folder of the files.
        trust: whether a record may construct classes that aren't options of skiplab.
        training: how it is trained on; None if it isn't.

    Raises:
        SkiplabError: if there is no such network, or it has no such shortcut.
    """
    if training is not None and (weights is not None or not _FACTORY.fullmatch(model)):
        raise SkiplabError(
            f"--train-on is for module:function without --weights, a function that returns {_RETURNS} and a fourth, "
            f"batch_loss(model, seed); MODEL={model}"
        )
    checkpoint = _made(model, weights, trust=trust)
    found = find_shortcuts(checkpoint.model, checkpoint.example_inputs)
    chosen = found.where(path=path, kind=kinds).replaceable()
    console = terminal.console()
    terminal.say(console, f"{found}\n")
    measured = measure_shortcuts(checkpoint.model, checkpoint.loss, chosen, factors=factors)
    terminal.say(console, str(measured))
    files = {"shortcuts.csv": csv_text(measured.frame), "shortcuts.svg": to_svg(measured.figure())}
    with writing(to, console):
        terminal.say_written(console, [write(to / name, text) for name, text in files.items()])
    if training is not None:
        from skiplab.factory_study.fine_tuned import fine_tuned_study

        study = fine_tuned_study(_found(model), training, path=path, kinds=kinds, folder=to)
        terminal.say(console, str(study.compare("loss", factor="module.connection", control=training.connection)))


def _made(model: str, weights: Path | None, *, trust: bool) -> _Checkpoint:
    folder = Path(model)
    if (folder / RECORD).exists():
        if weights is not None:
            raise SkiplabError(f"{model} is a record, which has its own weights; leave out --weights")
        trial = load(folder, trust=trust)
        eval_batch = OmegaConf.load(folder / CONFIG).eval_batch
        loss = record_loss(trial, num_images=eval_batch.num_images, num_levels=eval_batch.num_levels)
        return _Checkpoint(trial.model, trial.objective.example(trial.data.train.shape), loss)
    if (folder / PRETRAINED).exists():
        checkpoint = _Checkpoint(*pretrained(folder))
    elif _FACTORY.fullmatch(model):
        checkpoint = _of_factory(model)
    else:
        raise SkiplabError(
            f"MODEL={model} is no network; valid: the folder of a finished trial, runs/KEY, a folder of "
            f"save_pretrained, or module:function, a function that returns {_RETURNS}"
        )
    if weights is not None:
        if (folder / PRETRAINED).exists():
            raise SkiplabError(f"{model} has its own weights; leave out --weights")
        _load_weights(checkpoint.model, weights)
    return checkpoint


def _of_factory(name: str) -> _Checkpoint:
    made = _found(name)()
    if not (isinstance(made, tuple) and len(made) in (3, 4) and isinstance(made[0], nn.Module) and callable(made[2])):
        raise SkiplabError(f"MODEL={name} returns a {type(made).__name__}; valid: {_RETURNS}")
    return _Checkpoint(*made[:3])


def _found(name: str) -> Any:
    return find_target("MODEL", name.replace(":", "."), tuple, unannotated=True)


def _load_weights(model: nn.Module, path: Path) -> None:
    try:
        is_safe = path.suffix == ".safetensors"
        state = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:  # of any type: the file may hold anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(
            f"--weights {path} can't be loaded into {type(model).__name__}: {reason}; give a state dict of this network"
        ) from error
