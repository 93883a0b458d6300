"""`skiplab train -m WORDS` with trials that sleep and leave finished records, for cluster.py.

    SLEEP=SECONDS python benchmarks/sleeping_trials.py WORDS

Workers find what a trial does by this module's name, so its folder must be on their path.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.cli import train_main
from skiplab.cli.train import train
from skiplab.records.key import factors, trial_key
from skiplab.records.provenance import origin
from skiplab.records.record import Record
from skiplab.records.record_schema import Costs, new_record
from skiplab.records.timestamps import now

COSTS = Costs(num_parameters=1, flops_per_sample=1, activation_bytes_per_sample=1, depth=1, num_layers=1, num_joins=0)


def trial(config: DictConfig) -> dict[str, Any]:
    """Hold the trial's record for SLEEP seconds, and finish it."""
    record = Record(Path(config.run.runs_dir), trial_key(config))
    with record.locked():
        nothing: dict[str, Any] = {"choices": {}, "instruments": {}, "details": {}}
        record.write(new_record(record.key, factors=factors(config), parity=COSTS, origin=origin(None, ""), **nothing))
        record.update(status="running")
        time.sleep(float(os.environ["SLEEP"]))
        record.update(status="done", provenance={**record.read()["provenance"], "finished": now()})
    return {}


def main() -> None:
    import sleeping_trials  # not this __main__, which workers can't import

    command = sys.modules[train.__module__]
    command._task = sleeping_trials.trial  # pyright: ignore[reportAttributeAccessIssue]
    train_main(["-m", *sys.argv[1:]])


if __name__ == "__main__":
    main()
