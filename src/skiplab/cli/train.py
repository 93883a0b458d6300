"""The Hydra application behind `skiplab train`."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from skiplab.cli.streams import allow_any_text
from skiplab.cli.termination import exit_with
from skiplab.configuration.hydra_errors import explained
from skiplab.configuration.isolated_hydra import isolated_hydra
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.sweeps.limits import check_temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig


def train(arguments: list[str]) -> None:
    """Run the Hydra application with these arguments; `--dry-run` means run.dry_run=true.

    Raises:
        SkiplabError: an override is wrong, the temporary folder can't be written, or a trial failed.
    """
    check_temporary_folder()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors come here, to be explained in one place
    words = ["run.dry_run=true" if word == "--dry-run" else word for word in arguments]
    asked = _option_parser().parse_known_intermixed_args(words)[0]
    with explained(arguments), isolated_hydra():
        if asked.help:
            _print_help(asked.config_dir, asked.overrides)
        else:
            _apply(_task, _options_first(words, asked.overrides))


def _apply(task: "Callable[[DictConfig], Any]", words: list[str]) -> None:
    """Let Hydra call a task with the configuration that the words compose to, or with each of a sweep."""
    import hydra

    application = hydra.main(version_base="1.3", config_path=str(project_dir("conf")), config_name="train")(task)
    before = sys.argv
    sys.argv = ["skiplab-train", *words]
    try:
        application()
    finally:
        sys.argv = before


def _print_help(config_dir: str | None, overrides: list[str]) -> None:
    from skiplab.cli.train_help import help_text, without_sweep

    options = ["--config-dir", config_dir] if config_dir else []
    texts: list[str] = []  # printed here: where nobody reads to the end, Hydra would call it the task's error
    _apply(lambda config: texts.append(help_text(config)), [*options, *without_sweep(overrides)])
    print(texts[0], end="")


def _options_first(words: list[str], overrides: list[str]) -> list[str]:
    """The words with all overrides after all options: Hydra's parser refuses them in mixed order."""
    options = list(words)
    for override in overrides:
        options.remove(override)
    return [*options, *overrides]


def _option_parser() -> argparse.ArgumentParser:
    """Knows Hydra's options by name, to tell their values from overrides."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("overrides", nargs="*")
    for flag in ("--help -h", "--hydra-help", "--version", "--resolve", "--run -r", "--multirun -m"):
        parser.add_argument(*flag.split(), action="store_true")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    for option in ("--cfg -c", "--package -p", "--config-path -cp", "--config-name -cn", "--config-dir -cd"):
        parser.add_argument(*option.split())
    parser.add_argument("--experimental-rerun")
    parser.add_argument("--info", "-i", nargs="?")
    return parser


def _task(config: "DictConfig") -> dict[str, Any]:
    """What Hydra calls for each trial, in this process or in a worker."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from skiplab.configuration.settings import Settings
    from skiplab.records.plain_config import plain
    from skiplab.training.quiet import quiet

    quiet()
    allow_any_text()  # a worker has streams of its own
    hydra = cast("DictConfig", HydraConfig.get())
    choices = {axis: option for axis, option in hydra.runtime.choices.items() if axis in config}
    if hydra.mode == RunMode.MULTIRUN:  # the sweep has checked the settings
        return _run(config, choices, is_sweep=True)
    overrides = plain(hydra.overrides, resolve=False)  # unresolved
    words = [*overrides["hydra"], *overrides["task"]]
    try:
        with explained(words):
            Settings(GlobalHydra.instance().config_loader()).check(config, words, hydra)
            return _run(config, choices, is_sweep=False)
    except SkiplabError as error:
        exit_with(error)  # Hydra would print more


def _run(config: "DictConfig", choices: dict[str, str], *, is_sweep: bool) -> dict[str, Any]:
    from skiplab.check_claims import check_claims
    from skiplab.outcome_text import tell
    from skiplab.sweeps.job import Job
    from skiplab.sweeps.notes import print_notes
    from skiplab.sweeps.preview import preview
    from skiplab.training.trial import run_trial

    if config.run.dry_run:
        preview([Job([], config, {})])
        return {}
    if not is_sweep:  # the sweep has checked them, and told the notes
        check_claims(config)
        print_notes([Job([], config, {})])
    outcome = run_trial(config, choices, progress=not is_sweep and sys.stderr.isatty())
    if not is_sweep:
        tell(outcome, Path(config.run.runs_dir))
    elif outcome.note:
        print(f"trial {outcome.key}: {outcome.action}, {outcome.status}. {outcome.note}")
    return outcome._asdict()
