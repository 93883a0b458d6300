"""A small study of a network of one's own, from Python."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from torch import nn

from skiplab.analysis.runs import Study, read_study
from skiplab.errors import SkiplabError
from skiplab.train_command import train

_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*")
_RESERVED = {"true", "false", "null", "nan", "inf"}


def study(
    model_factory: Callable[..., nn.Module],
    data: str,
    *,
    factors: Mapping[str, Sequence[Any]],
    seeds: Sequence[int] = (0, 1, 2),
    name: str | None = None,
    runs_dir: str | Path = "runs",
    settings: Mapping[str, Any] | None = None,
) -> Study:
    """Train a network of one's own once for each combination of the factors and seed, as `skiplab train -m` would.

    The trials leave the same records, so that finished ones are skipped when it is called again, and `skiplab table`,
    `report` and `evaluate` know them. The network is run as backbone=external says: its shortcuts are found, and those
    that are additions are joined by the trial's connection.

    Args:
        model_factory: builds the network; a function or class at the top level of a module or notebook. What it takes
            may be factors.
        data: an option of the axis, such as 'digits'.
        factors: the values of each; a parameter of the factory, or any choice or setting of a trial, such as
            connection, depth or 'optimizer.lr'.
        seeds: of the trials.
        name: of the study; the factory's unless given.
        runs_dir: where the records go.
        settings: what all trials share, such as {'trainer.max_steps': 200, 'backbone.level_scale': 1000}.

    Returns:
        The study's records: `trials` is a frame with a row for each.

    Raises:
        SkiplabError: where something asked for is invalid, before anything is trained; or trials failed.
    """
    target = f"{model_factory.__module__}.{model_factory.__qualname__}"
    in_notebook = model_factory.__module__ == "__main__"
    _check_importable(model_factory, target)
    own = [name for name in inspect.signature(model_factory).parameters if name in factors]
    words = {"backbone": "external", "backbone.target": target, "data": data}
    # a worker of another process would look for __main__ in vain
    words |= {"hydra/launcher": "basic"} if in_notebook else {}
    words |= {"backbone.version": _version(model_factory)} if in_notebook else {}
    words |= {name: _text(value) for name, value in (settings or {}).items()}
    words |= {"seed": _listed("seeds", seeds)}
    words |= {"run.study": name or model_factory.__name__, "run.runs_dir": _text(str(runs_dir))}
    for factor, values in factors.items():
        top_level = factor in ("depth", "width")
        words[f"+backbone.arguments.{factor}" if factor in own and not top_level else factor] = _listed(factor, values)
        if factor in own and top_level:
            words[f"+backbone.arguments.{factor}"] = f"${{{factor}}}"
    train(["-m", *(f"{name}={value}" for name, value in words.items())])
    return read_study(words["run.study"], Path(runs_dir))


def _check_importable(factory: Callable[..., nn.Module], target: str) -> None:
    try:
        found = get_object(target)
    except Exception:
        found = None
    if found is not factory:
        raise SkiplabError(
            f"the factory {target} can't be imported by its name; define it with `def` or `class` at the top level of "
            "a module or notebook"
        )


def _version(factory: Callable[..., nn.Module]) -> str:
    """A hash of its source, by which the trials of an edited cell are others; null where there is none."""
    try:
        source = inspect.getsource(factory)
    except (OSError, TypeError):
        return "null"
    return f"v{hashlib.sha256(source.encode()).hexdigest()[:12]}"


def _listed(name: str, values: Sequence[Any]) -> str:
    if isinstance(values, str) or not len(values):
        raise SkiplabError(f"{name}={values!r} is invalid; valid: a list of values")
    return ",".join(_text(value) for value in values)


def _text(value: Any) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(each)}" for name, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN_TEXT.fullmatch(value) and value.lower() not in _RESERVED
        return value if plain else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)
