"""The weights that training left: the record knows their checksum, and others aren't taken for them."""

import hashlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from skiplab.atomic_file import write_atomically
from skiplab.errors import SkiplabError
from skiplab.training.record import Record


def write_weights(record: Record, model: nn.Module, **trained: Any) -> None:
    """Write a network's weights; their checksum, and whatever else belongs to them, go to the record first."""
    content = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    record.update(trained=trained | {"weights": _checksum(content)})
    write_atomically(record.weights, content)


def read_weights(path: Path, content: dict[str, Any]) -> dict[str, Tensor]:
    """The weights beside a record of this content.

    Raises:
        SkiplabError: where they can't be read, or aren't what the trial wrote.
    """
    try:
        found = path.read_bytes()
        if _checksum(found) != content.get("trained", {}).get("weights", _checksum(found)):
            raise ValueError("it isn't what the trial wrote")
        return load(found)
    except (OSError, ValueError, SafetensorError) as error:
        raise SkiplabError(
            f"{path} can't be used ({error}); train the trial again with run.rerun=true, which keeps the old record "
            "in RUNS_DIR/replaced"
        ) from None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
