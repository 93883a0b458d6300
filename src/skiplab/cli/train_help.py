"""What `skiplab train --help` prints: how it is called, every axis with its options, and the settings of a trial."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from skiplab.configuration.config_files import ConfigFiles
from skiplab.listed_options import LISTS
from skiplab.paths import project_dir
from skiplab.tuning.preset_sweep import preset_names

_USAGE = """\
usage: skiplab train [-m] [--dry-run] [experiment=NAME/PROFILE] [AXIS=OPTION ...] [SETTING=VALUE ...]

Train one trial. With -m, or a preset that sweeps, train one for each combination of several options or values, which
are separated by commas: skiplab train -m connection=plain,identity depth=4,8 seed=0,1,2

options:
  -m, --multirun    train a sweep
  --dry-run         say what would be trained, how long it takes and what it costs; train nothing
  --cfg job         print the settings of the trial; train nothing
  --config-dir DIR  take options from a folder of your own, too
  --hydra-help      print the other options, which are Hydra's
  -h, --help        print this; `skiplab train connection=scaled --help` shows the settings of that option

axes and their options; a star marks those in use:"""
_COLUMNS = 120  # at most; longer lines are hard to read


def without_sweep(overrides: Sequence[str]) -> list[str]:
    """The overrides as those of one trial, without those that give several values."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    single = [word for word, override in zip(overrides, parsed, strict=True) if not override.is_sweep_override()]
    return [*single, "hydra.mode=RUN"]


def help_text(config: DictConfig) -> str:
    """The help of a command whose overrides compose to this configuration."""
    loader, overrides = GlobalHydra.instance().config_loader(), HydraConfig.get().overrides.task
    return "\n".join(
        (
            _USAGE,
            *_axes(config),
            "\npresets: experiment=NAME/PROFILE",
            _wrapped(", ".join(preset_names(loader, overrides))),
            "\nsettings of this trial:",
            textwrap.indent(OmegaConf.to_yaml(config), "  "),
        )
    )


def _axes(config: DictConfig) -> Iterator[str]:
    loader = GlobalHydra.instance().config_loader()
    choices = HydraConfig.get().runtime.choices
    decides = cast(DictConfig, OmegaConf.load(project_dir("conf") / "axes.yaml"))
    for axis in ConfigFiles(loader).axes:
        chosen = config[axis] if axis in LISTS else [choices[axis]]
        options = [f"{option}*" if option in chosen else option for option in loader.get_group_options(axis)]
        yield f"  {axis}: {decides[axis]}"
        yield _wrapped(", ".join(options))


def _wrapped(text: str) -> str:
    width = min(shutil.get_terminal_size().columns, _COLUMNS)
    return textwrap.fill(text, width, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
