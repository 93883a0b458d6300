"""Records as trials write them, for tests that need no training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skiplab.records.record import Record
from skiplab.records.record_schema import RecordContent, new_record
from skiplab.records.timestamps import now

KEY = "0123456789abcdef"


def example_record(key: str = KEY, *, factors: Mapping[str, Any] | None = None, **changes: Any) -> RecordContent:
    """A record with these changes, of which a mapping for parity or provenance changes single entries."""
    record = new_record(
        key,
        choices={"connection": "plain"},
        factors={"seed": 0, "depth": 4, "width": 8, "trainer.max_steps": 100, **(factors or {})},
        parity={
            "num_parameters": 100,
            "flops_per_sample": 1_000_000,
            "activation_bytes_per_sample": 10_000,
            "depth": 4,
            "num_layers": 10,
            "num_joins": 4,
        },
        instruments={},
        details={},
        origin={
            "commit": None,
            "versions": {"torch": "2.0"},
            "hardware": {"machine": "x86_64", "processor": "", "cores": 2, "gpu": None},
        },
    )
    if "provenance" in changes:  # a trial that is trained once
        changes["provenance"] = {"first_started": changes["provenance"].get("started", now())} | changes["provenance"]
    nested = {name: {**record[name], **changes.pop(name)} for name in ("parity", "provenance") if name in changes}
    return {**record, **changes, **nested}


def write_example(runs_dir: Path, key: str = KEY, **changes: Any) -> Record:
    """A trial's folder with such a record and nothing else."""
    record = Record(runs_dir, key)
    record.folder.mkdir(parents=True, exist_ok=True)
    record.write(example_record(key, **changes))
    return record
