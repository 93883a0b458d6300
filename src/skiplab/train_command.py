"""The Hydra application behind `skiplab train`."""

import os
import sys
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.explain import explain_hydra, stop
from skiplab.paths import project_dir
from skiplab.streams import take_any_text
from skiplab.sweeps.room import check_temporary_folder


def train(arguments: list[str]) -> None:
    """Run the Hydra application on these arguments; `--dry-run` stands for run.dry_run=true.

    Raises:
        SkiplabError: where the overrides are wrong, no temporary file can be written, or a trial failed.
    """
    import hydra
    from hydra.errors import HydraException

    check_temporary_folder()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here, to be explained in one place
    application = hydra.main(version_base="1.3", config_path=str(project_dir("conf")), config_name="train")(_task)
    before = sys.argv
    sys.argv = ["skiplab-train", *("run.dry_run=true" if word == "--dry-run" else word for word in arguments)]
    try:
        application()
    except HydraException as error:
        raise SkiplabError(explain_hydra(error)) from error
    finally:
        sys.argv = before


def _task(config):
    """What Hydra calls, once per trial, in this process or in a worker."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from skiplab.sweeps.job import Job
    from skiplab.sweeps.preview import preview
    from skiplab.training.quiet import quiet
    from skiplab.training.trial import run_trial

    quiet()
    take_any_text()  # a worker has streams of its own
    if config.run.dry_run:
        preview([Job([], config, {})])
        return {}
    runtime = HydraConfig.get()
    alone = runtime.mode != RunMode.MULTIRUN
    choices = {axis: option for axis, option in runtime.runtime.choices.items() if axis in config}
    try:
        outcome = run_trial(config, choices, progress=alone and sys.stderr.isatty())
    except SkiplabError as error:
        if alone:
            stop(error)  # Hydra would add lines of its own
        raise
    if alone or outcome.note:
        print(f"trial {outcome.key}: {outcome.action}, {outcome.status}. {outcome.note}".rstrip())
    if alone:
        _print_summary(Path(config.run.runs_dir) / outcome.key)
    return outcome._asdict()


def _print_summary(folder: Path) -> None:
    import json

    content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    for name, value in content["summary"].items():
        print(f"  {name:28s} {value:.5g}" if value is not None else f"  {name:28s} not finite")
    print(f"  record in {folder}")
