"""Which settings of W&B a trial's run takes from the environment.

The trial decides what its run is (id, project, group, job type, name, tags, configuration, folder), because environment
variables are meant for another run or for all runs. The environment decides who logs and to which server (WANDB_ENTITY,
WANDB_API_KEY, WANDB_BASE_URL, ...). WANDB_MODE may turn an online run into an offline one or none, and not the reverse.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import wandb
from wandb.errors import UsageError

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
_LOUD_TO_QUIET: tuple[Mode, ...] = ("online", "offline", "disabled")
# Settings that would turn a run into another one, or into a part of something else, if a variable set them.
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
    """The mode of a logger or of WANDB_MODE, whichever sends less.

    Raises:
        SkiplabError: if WANDB_MODE isn't one of W&B's modes.
    """
    asked = os.environ.get("WANDB_MODE", "online")
    if asked not in _MODES:
        raise SkiplabError(f"WANDB_MODE={asked} is invalid; valid: {', '.join(_MODES)}; or unset it")
    own, other = "offline" if offline else "online", _MODES[asked]
    return own if _LOUD_TO_QUIET.index(own) > _LOUD_TO_QUIET.index(other) else other


def check_wandb(project: str, offline: bool) -> None:
    """Check what W&B would refuse in every trial.

    Raises:
        SkiplabError: names the setting or variable, or the missing key of an online run.
    """
    mode = run_mode(offline)
    if mode == "disabled":
        return
    if not isinstance(project, str) or not project:
        raise SkiplabError(f"logger.project={project} is invalid; valid: a name, such as skiplab")
    try:
        wandb.Settings(project=project)
    except (UsageError, ValueError) as error:
        raise SkiplabError(f"logger.project={project} is invalid: {_one_line(error)}") from None
    settings = wandb.Settings()
    for name, value in os.environ.items():
        try:
            settings.update_from_env_vars({name: value})
        except (UsageError, ValueError) as error:
            raise SkiplabError(f"{name}={value} is refused by W&B: {_one_line(error)}; correct or unset it") from None
    if mode == "online" and not has_key():
        raise SkiplabError(
            "logger=wandb_online needs an API key of W&B; run `wandb login`, set WANDB_API_KEY, or choose "
            "logger=wandb_offline and run `skiplab sync` later"
        )


@contextmanager
def of_this_run_alone(mode: Mode) -> Iterator[None]:
    """Reset settings of W&B that belong to other runs of this process during the block."""
    # set for the whole process, because telemetry ignores the mode of a run
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
    """The reason in an error of W&B or of its validator, whose first lines name classes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-2].split(" [type=")[0] if len(lines) > 2 else lines[0]
    return reason.removeprefix("Value error, ")
