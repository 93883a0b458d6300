"""The schema of record.json."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, ConfigDict, PlainValidator, Strict, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from skiplab.records.statuses import Status
from skiplab.records.timestamps import in_utc, now

FORMAT_VERSION = 1  # to be raised with every change that leaves older records unreadable

_STRICT = ConfigDict(strict=True, extra="forbid")
_KEY = re.compile(r"[0-9a-f]{16}")
_LARGEST = 2**63 - 1  # of the whole numbers of a data frame
_LONGEST_SHOWN = 60  # characters of an invalid value in a message


def shown(value: object) -> str:
    """A value as it is shown in a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def is_key(text: object) -> bool:
    """Whether a text has the form of a trial's key."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def is_number(value: object) -> bool:
    """Whether a value of JSON or YAML is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError("16 digits of 0-9a-f")
    return text


def _time(text: str) -> str:
    in_utc(text)
    return text


Factor = str | int | float | bool | None


def _factors(values: Any) -> dict[str, Factor]:
    """Checked by hand: the errors of a union of types are long, and name no limit."""
    if not isinstance(values, dict):
        raise ValueError("a mapping")
    for name, value in values.items():
        if not isinstance(value, Factor):
            raise _mistake(name, value, "text, a number, true, false or null")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise _mistake(name, value, f"whole numbers up to {_LARGEST}")
    if not is_number(values.get("seed")):
        raise _mistake("seed", values.get("seed"), "a number")
    return values


def _mistake(name: str, value: object, valid: str) -> PydanticCustomError:
    context = {"name": name, "value": shown(value), "valid": valid}
    return PydanticCustomError("factor", "{name} is {value}; valid: {valid}", context)


Key = Annotated[str, AfterValidator(_key)]
Time = Annotated[str, AfterValidator(_time)]
Factors = Annotated[dict[str, Factor], PlainValidator(_factors)]
Declaration = dict[str, Any]  # of a metric or a chart; the analysis leaves out those that it can't read
Mark = tuple[int, int]  # the length of a table in bytes, and the checksum of as many


@with_config(_STRICT)
class Hardware(TypedDict):
    """The machine of a trial.

    machine: the architecture, such as x86_64.
    processor: its name.
    cores: how many it has, null if it isn't known.
    gpu: its name, null without one.
    instructions: those that its kernels use, which are rounded differently; older records lack them.
    """

    machine: str
    processor: str
    cores: int | None
    gpu: str | None
    instructions: NotRequired[str]


@with_config(_STRICT)
class Origin(TypedDict):
    """The code and the machine of a trial.

    commit: of the repository that skiplab ran from, null outside one.
    versions: of Python and of the packages that training uses; null for one that isn't installed.
    hardware: the machine.
    """

    commit: str | None
    versions: dict[str, str | None]
    hardware: Hardware


@with_config(_STRICT)
class Provenance(Origin):
    """The code, the machine and the times of a trial.

    first_started: when the trial was started first; training it again makes it no younger.
    started: when its last run was started.
    finished: when it ended, null before that.
    wall_seconds: the time that was spent on it, in all its runs.
    wandb_id: of its W&B run, null without one.
    """

    first_started: Time
    started: Time
    finished: Time | None
    wall_seconds: float
    wandb_id: str | None


@with_config(_STRICT)
class Costs(TypedDict):
    """What one sample costs a network. null: it isn't known, of a network of others.

    num_parameters: its trained scalars.
    flops_per_sample: multiplications and additions of convolutions and matrix products, in one pass forward.
    activation_bytes_per_sample: what one pass forward keeps for the backward pass.
    depth: blocks on the longest path.
    num_layers: modules that own a weight of two dimensions or more.
    num_joins: places where a connection joins an update and the stream.
    """

    num_parameters: int
    flops_per_sample: int | None
    activation_bytes_per_sample: int | None
    depth: int | None
    num_layers: int
    num_joins: int


@with_config(_STRICT)
class FinishedFile(TypedDict):
    """A file as it was when it was finished.

    bytes: its length.
    rows: of a table, their number.
    sha256: its hash, which older records lack.
    """

    bytes: int
    rows: NotRequired[int]
    sha256: NotRequired[str]


@with_config(_STRICT)
class TrainedState(TypedDict):
    """What stood on disk when training ended.

    tables: of each table, the length in bytes and the checksum of as many.
    weights: the checksum of their file.
    """

    tables: dict[str, Annotated[Mark, Strict(False)]]
    weights: str


@with_config(_STRICT)
class Findings(TypedDict):
    """What instruments and evaluators found, and what they declare.

    summary: the value of each metric.
    missing: why a metric has no value, by metric.
    metrics: the declaration of each metric: its label, direction, scale and role.
    charts: the declaration of each figure.
    details: further facts, by who found them.
    """

    summary: dict[str, int | float | None]
    missing: dict[str, str]
    metrics: dict[str, Declaration]
    charts: dict[str, Declaration]
    details: dict[str, Any]


class TrialSettings(TypedDict):
    """What a trial is made of: the option chosen on each axis, and the configuration as flat values."""

    choices: dict[str, str]
    factors: Factors


@with_config(_STRICT)
class RecordContent(Findings):
    """What instruments and evaluators found, and what is known of the trial.

    format_version: of this format; another one is refused.
    key: the trial's key, the name of its folder.
    status: how the trial stands.
    choices: the option chosen on each axis.
    factors: the configuration as flat values, such as `optimizer.lr`.
    step: the steps that were trained.
    diverged_step: where training diverged, else null.
    diverged_because: why it diverged, else null.
    error: why the trial failed or was interrupted, else null.
    parity: what the network costs.
    instruments: the settings of those that measured.
    evaluators: the settings of those that measured.
    pictures: the names of the pictures that each evaluator drew.
    files: the lengths and hashes of the finished files, by name.
    trained: what stood on disk when training ended; null before that.
    salvaged: what was found damaged, and what was done about it.
    provenance: the code, the machine and the times.
    failed: why an instrument or evaluator has no result though the trial ended, by its name, such as
        'evaluator linear_probe'; it is tried again. Older records have no such field.
    """

    format_version: int
    key: Key
    status: Status
    choices: dict[str, str]
    factors: Factors
    step: int
    diverged_step: int | None
    diverged_because: str | None
    error: str | None
    parity: Costs
    instruments: dict[str, dict[str, Any]]
    evaluators: dict[str, dict[str, Any]]
    pictures: dict[str, list[str]]
    files: dict[str, FinishedFile]
    trained: TrainedState | None
    salvaged: list[str]
    provenance: Provenance
    failed: NotRequired[dict[str, str]]


class RecordChanges(TypedDict, total=False):
    """The parts of a record that may change while its trial runs."""

    status: Status
    step: int
    diverged_step: int | None
    diverged_because: str | None
    error: str | None
    summary: dict[str, int | float | None]
    missing: dict[str, str]
    metrics: dict[str, Declaration]
    charts: dict[str, Declaration]
    details: dict[str, Any]
    evaluators: dict[str, dict[str, Any]]
    pictures: dict[str, list[str]]
    files: dict[str, FinishedFile]
    trained: TrainedState | None
    salvaged: list[str]
    provenance: Provenance
    failed: dict[str, str]


def new_record(
    key: str,
    *,
    choices: Mapping[str, str],
    factors: Mapping[str, Factor],
    parity: Costs,
    instruments: Mapping[str, dict[str, Any]],
    details: Mapping[str, Any],
    origin: Origin,
    first_started: str | None = None,
) -> RecordContent:
    """The record of a trial that starts now.

    Args:
        first_started: when an earlier record of the trial was started; None if there is none.
    """
    started = now()
    return {
        "format_version": FORMAT_VERSION,
        "key": key,
        "status": "running",
        "choices": dict(choices),
        "factors": dict(factors),
        "step": 0,
        "diverged_step": None,
        "diverged_because": None,
        "error": None,
        "summary": {},
        "missing": {},
        "metrics": {},
        "charts": {},
        "details": dict(details),
        "parity": parity,
        "instruments": dict(instruments),
        "evaluators": {},
        "pictures": {},
        "files": {},
        "trained": None,
        "salvaged": [],
        "provenance": {
            **origin,
            "first_started": first_started or started,
            "started": started,
            "finished": None,
            "wall_seconds": 0.0,
            "wandb_id": None,
        },
        "failed": {},
    }
