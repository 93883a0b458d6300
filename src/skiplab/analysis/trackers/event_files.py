"""Reads TensorBoard's event files by TensorBoard's own reader, which is an optional package."""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from skiplab.analysis.trackers.foreign_run import Value


class Events(NamedTuple):
    """The scalars of an event file, and the hyperparameters in it."""

    values: list[Value]
    config: dict[str, Any]


def is_event_file(name: str) -> bool:
    """Whether a name is that of an event file."""
    return ".tfevents." in name


def has_reader() -> bool:
    """Whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


def read_event_file(path: Path) -> Events:
    """The scalars of an event file up to a torn end, and the hyperparameters that `add_hparams` wrote.

    Raises:
        ValueError: TensorBoard is missing, or can't read the file.
    """
    if not has_reader():
        raise ValueError("it needs a package to be read: pip install 'skiplab[tensorboard]'")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util import tensor_util

    values: list[Value] = []
    config: dict[str, Any] = {}
    try:
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data
                if plugin.plugin_name == "hparams":
                    for name, each in HParamsPluginData.FromString(plugin.content).session_start_info.hparams.items():
                        config[name] = _plain(getattr(each, each.WhichOneof("kind") or "string_value"))
                elif value.WhichOneof("value") == "tensor":
                    number = tensor_util.make_ndarray(value.tensor)
                    if number.ndim == 0 and number.dtype.kind in "fiu":
                        values.append(Value(event.step, value.tag, float(number)))
    except Exception as error:  # whatever the reader raises on a broken file
        raise ValueError(f"TensorBoard can't read it: {type(error).__name__}: {error}") from None
    return Events(values, config)


def _plain(value: Any) -> Any:
    """Whole numbers as such: hyperparameters are stored as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
