"""Opens the record of a trial: a new one, or one that goes on."""

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig

from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CONFIG
from skiplab.records.key import factors
from skiplab.records.local_paths import with_absolute_paths
from skiplab.records.plain_config import to_yaml
from skiplab.records.provenance import instructions, origin
from skiplab.records.record import Record
from skiplab.records.record_schema import Costs, new_record
from skiplab.records.statuses import FINISHED
from skiplab.training.plan import Plan
from skiplab.training.salvage import salvage

_SWITCHES = ("rerun", "retry_failed", "dry_run")  # of one command, and no part of a trial


def open_record(
    record: Record,
    plan: Plan,
    config: DictConfig,
    choices: Mapping[str, str],
    *,
    costs: Costs,
    details: Mapping[str, Any],
) -> str:
    """Set aside what a record can't go on with, and start one unless there is one; returns the action that follows.

    Args:
        record: the trial's.
        plan: what is measured.
        config: the composed configuration.
        choices: the option of each axis.
        costs: what the network costs.
        details: what else is known at the start, by who says it.

    Raises:
        SkiplabError: if a finished trial's weights can't be used.
    """
    salvaged = salvage(record)
    if record.status is None:
        action, replaced, kept = "trained", record.replaced_start, with_absolute_paths(config)
        for switch in _SWITCHES:
            del kept["run"][switch]
        write_atomically(record.folder / CONFIG, to_yaml(kept).encode())
        record.write(
            new_record(
                record.key,
                choices=choices,
                factors=factors(config),
                parity=costs,
                instruments=plan.instruments,
                details=details,
                origin=origin(
                    torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                    torch.backends.cpu.get_cpu_capability(),
                ),
                first_started=replaced.isoformat() if replaced else None,
            )
        )
    elif record.status in FINISHED:
        action = "evaluated"
    else:
        action = "resumed"
        _tell_of_other_instructions(record)
    if salvaged:
        _note(record, salvaged)
    return action


def _tell_of_other_instructions(record: Record) -> None:
    """Say where a trial goes on with kernels that round differently, so that its weights are those of neither."""
    before = record.read()["provenance"]["hardware"].get("instructions")
    here = instructions(torch.backends.cpu.get_cpu_capability())
    if before is not None and before != here:
        _note(
            record,
            f"it was begun with the instructions {before} and goes on with {here}, so its weights will differ in their "
            "last digits from those of a trial that used one of them",
        )


def _note(record: Record, sentence: str) -> None:
    """Print a sentence about a trial, and add it to the record."""
    print(f"trial {record.key}: {sentence}", flush=True)
    record.update(salvaged=[*record.read()["salvaged"], sentence])
