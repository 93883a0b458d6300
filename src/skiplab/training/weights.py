"""The weights that training left, with a checksum in the record that tells them from others."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.foreign_files import MOST_BYTES, leads_out
from skiplab.records.record import Record
from skiplab.records.record_schema import Mark, RecordContent

_LENGTH = 8  # bytes at the start of a safetensors file that say how long its header is


def write_weights(record: Record, model: nn.Module, tables: Mapping[str, Mark]) -> None:
    """Write a network's weights; their checksum and the marks of the tables are written to the record first."""
    content = save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()})
    record.update(trained={"tables": dict(tables), "weights": _checksum(content)})
    write_atomically(record.weights, content)


def read_weights(path: Path, content: RecordContent) -> dict[str, Tensor]:
    """The weights of a record with this content; the file holds nothing but tensors.

    Raises:
        SkiplabError: if they are missing, are a link, can't be read, or aren't what the trial wrote.
    """
    if leads_out(path, path.parent) or not path.is_file():
        raise SkiplabError(f"{path} is not a file in the record's own folder; put a copy of the weights there")
    try:
        found = path.read_bytes()
        length = int.from_bytes(found[:_LENGTH], "little")
        if length > MOST_BYTES:
            raise ValueError(f"its header has {length} bytes; valid: up to {MOST_BYTES}")
        trained = content["trained"]
        if trained is not None and _checksum(found) != trained["weights"]:
            raise ValueError("it isn't what the trial wrote")
        return load(found)
    except (SafetensorError, OSError, ValueError) as error:
        raise _unusable(path, error) from error


def load_weights(model: nn.Module, path: Path, content: RecordContent) -> None:
    """Load the weights of a record into its network.

    Raises:
        SkiplabError: as `read_weights`, and if they belong to another network.
    """
    most = MOST_BYTES + sum(tensor.nbytes for tensor in model.state_dict().values())
    try:
        if path.stat().st_size > most:  # it may have a hole that no memory holds
            raise ValueError(f"it has more bytes than the network's weights, {path.stat().st_size}")
        model.load_state_dict(read_weights(path, content))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unusable(path, error) from error


@contextmanager
def no_larger_than(path: Path | None) -> Iterator[None]:
    """Stop making a network once it has more parameters than a file of weights has bytes.

    The numbers of a record may ask for a network that no memory holds.

    Args:
        path: the file; None for a network of any size.

    Raises:
        SkiplabError: the file can't hold the weights of the network.
    """
    if path is None:
        yield
        return
    most, num_made = path.stat().st_size, 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal num_made
        num_made += 0 if parameter is None else parameter.numel()
        if num_made > most:
            raise _unusable(path, ValueError(f"the network has more parameters than it has bytes, {most}"))

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _unusable(path: Path, error: Exception) -> SkiplabError:
    return SkiplabError(
        f"{path} can't be used ({str(error).splitlines()[0]}); take another copy of the record, or train the trial "
        "again with run.rerun=true, which keeps the old record in RUNS_DIR/replaced"
    )


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
