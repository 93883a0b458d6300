"""The Hydra application behind `skiplab train`."""

import os
import sys
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.explain import stop
from skiplab.hydra_errors import explained
from skiplab.own_hydra import own_hydra
from skiplab.paths import project_dir
from skiplab.streams import take_any_text
from skiplab.sweeps.room import check_temporary_folder


def train(arguments: list[str]) -> None:
    """Run the Hydra application on these arguments; `--dry-run` stands for run.dry_run=true.

    Raises:
        SkiplabError: where the overrides are wrong, no temporary file can be written, or a trial failed.
    """
    import hydra

    check_temporary_folder()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here, to be explained in one place
    application = hydra.main(version_base="1.3", config_path=str(project_dir("conf")), config_name="train")(_task)
    before = sys.argv
    sys.argv = ["skiplab-train", *_options_first(arguments)]
    try:
        with explained(arguments), own_hydra():
            application()
    finally:
        sys.argv = before


def _options_first(arguments: list[str]) -> list[str]:
    """The words with overrides behind the options, as Hydra wants them."""
    from hydra._internal.utils import get_args_parser

    words = ["run.dry_run=true" if word == "--dry-run" else word for word in arguments]
    overrides = get_args_parser().parse_known_intermixed_args(words)[0].overrides
    for override in overrides:
        words.remove(override)
    return [*words, *overrides]


def _task(config):
    """What Hydra calls, once per trial, in this process or in a worker."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from skiplab.settings import Settings
    from skiplab.training.quiet import quiet

    quiet()
    take_any_text()  # a worker has streams of its own
    runtime = HydraConfig.get()
    alone = runtime.mode != RunMode.MULTIRUN
    choices = {axis: option for axis, option in runtime.runtime.choices.items() if axis in config}
    if not alone:  # the sweep has checked the settings
        return _run(config, choices, alone=False)
    overrides = OmegaConf.to_container(runtime.overrides)  # as they stand, with what they refer to
    words = [*overrides["hydra"], *overrides["task"]]
    try:
        with explained(words):
            Settings(GlobalHydra.instance().config_loader()).check(config, words, runtime)
            return _run(config, choices, alone=True)
    except SkiplabError as error:
        stop(error)  # Hydra would add lines of its own


def _run(config, choices, *, alone):
    from skiplab.check_claims import check_claims
    from skiplab.outcome_text import tell
    from skiplab.sweeps.job import Job
    from skiplab.sweeps.preview import preview
    from skiplab.training.trial import run_trial

    if config.run.dry_run:
        preview([Job([], config, {})])
        return {}
    if alone:  # the sweep has checked them
        check_claims(config)
    outcome = run_trial(config, choices, progress=alone and sys.stderr.isatty())
    if alone:
        tell(outcome, Path(config.run.runs_dir))
    elif outcome.note:
        print(f"trial {outcome.key}: {outcome.action}, {outcome.status}. {outcome.note}")
    return outcome._asdict()
