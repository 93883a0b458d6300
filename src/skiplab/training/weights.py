"""A record's weights, put into its network."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from skiplab.errors import SkiplabError
from skiplab.foreign_files import MOST_BYTES, leads_out

_LENGTH = 8  # bytes at the start that say how long the header is


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file, which holds tensors alone.

    Raises:
        SkiplabError: where it is missing, leads elsewhere, isn't such a file, or is another network's.
    """
    if leads_out(path, path.parent) or not path.is_file():
        raise SkiplabError(f"{path} is no file of the record's own folder; put a copy of the weights there")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
    if length > MOST_BYTES:
        raise SkiplabError(f"{path} has a header of {length} bytes; valid: up to {MOST_BYTES}; take another copy of it")
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise SkiplabError(
            f"{path} doesn't hold this network's weights: {str(error).splitlines()[0]}; take another copy of the record"
        ) from error
