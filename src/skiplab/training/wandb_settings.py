"""What W&B's settings decide of a trial's run, and what the trial does.

The rule: what a run is (id, project, group, job type, name, tags, configuration, folder) is the trial's, whatever the
environment says, since a variable there is meant for another run or for all. As whom and to which server it goes is
W&B's to say (WANDB_ENTITY, WANDB_API_KEY, WANDB_BASE_URL, ...). WANDB_MODE may make a run quieter than its logger says,
offline or none at all, and never louder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import wandb

from skiplab.errors import SkiplabError
from skiplab.wandb_account import has_key

Mode = Literal["online", "offline", "disabled"]
_MODES: dict[str, Mode] = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
}
_LOUD_TO_QUIET = ("online", "offline", "disabled")
# W&B's settings that would make a run another one, or part of something else, if a variable set them.
_OF_OTHER_RUNS = (
    "sweep_id",
    "sweep_param_path",
    "config_paths",
    "launch",
    "launch_config_path",
    "resume_from",
    "fork_from",
    "ignore_globs",
    "use_dot_wandb",
)


def run_mode(offline: bool) -> Mode:
    """The quieter of what a logger and WANDB_MODE say.

    Raises:
        SkiplabError: where WANDB_MODE is none of W&B's.
    """
    asked = os.environ.get("WANDB_MODE", "online")
    if asked not in _MODES:
        raise SkiplabError(f"WANDB_MODE={asked} is invalid; valid: {', '.join(_MODES)}; or unset it")
    return max("offline" if offline else "online", _MODES[asked], key=_LOUD_TO_QUIET.index)


def check_wandb(project: str, offline: bool) -> None:
    """Refuse what W&B would refuse of every trial.

    Raises:
        SkiplabError: names the setting or variable; or a run is to go online and there is no key.
    """
    mode = run_mode(offline)
    if mode == "disabled":
        return
    if not isinstance(project, str) or not project:
        raise SkiplabError(f"logger.project={project} is invalid; valid: a name, such as skiplab")
    try:
        wandb.Settings(project=project)
    except (wandb.errors.UsageError, ValueError) as error:
        raise SkiplabError(f"logger.project={project} is invalid: {_one_line(error)}") from None
    settings = wandb.Settings()
    for name, value in os.environ.items():
        try:
            settings.update_from_env_vars({name: value})
        except (wandb.errors.UsageError, ValueError) as error:
            raise SkiplabError(f"{name}={value} is refused by W&B: {_one_line(error)}; correct or unset it") from None
    if mode == "online" and not has_key():
        raise SkiplabError(
            "logger=wandb_online needs a key of W&B: `wandb login`, or set WANDB_API_KEY; or take "
            "logger=wandb_offline, and `skiplab sync` later"
        )


@contextmanager
def of_this_run_alone(mode: Mode) -> Iterator[None]:
    """W&B's settings of this process without what other runs have there; afterwards as they were."""
    # the mode is for the whole process, whose telemetry heeds no run's
    settings = wandb.setup(wandb.Settings(mode=mode, sagemaker_disable=True)).settings
    before = {name: getattr(settings, name) for name in _OF_OTHER_RUNS}
    try:
        for name in before:
            setattr(settings, name, type(settings).model_fields[name].default)
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


def _one_line(error: Exception) -> str:
    """The reason in an error of W&B's or of its validator, whose first lines name classes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-2].split(" [type=")[0] if len(lines) > 2 else lines[0]
    return reason.removeprefix("Value error, ")
