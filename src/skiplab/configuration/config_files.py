"""The YAML files that Hydra composes a trial from: those of skiplab and of the user's own folder."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ResultDefault
from hydra.types import RunMode
from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.records.plain_config import plain

PRIMARY = "train"  # the file that lists the axes


class ConfigFile(NamedTuple):
    """A file's settings, its defaults list, and the package that its header names, such as evaluator.lesion."""

    settings: dict[str, Any]
    defaults: list[Any]
    package: str | None


class ConfigFiles:
    """Reads configuration files, each once.

    Args:
        loader: Hydra's, which knows the folders.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self._read: dict[str, ConfigFile] = {}

    def read(self, path: str) -> ConfigFile:
        """The file of a path such as `connection/plain`; of several folders that have it, the first counts.

        Raises:
            SkiplabError: no folder has it, or it isn't a mapping.
        """
        if path not in self._read:
            self._read[path] = self._load(path)
        return self._read[path]

    def _load(self, path: str) -> ConfigFile:
        source = next((source for source in self.loader.get_sources() if source.is_config(path)), None)
        result = source.load_config(path) if source else None
        if result is None or not isinstance(result.config, DictConfig):
            raise SkiplabError(f"{path}.yaml is missing or holds no settings; valid: a file with NAME: VALUE lines")
        settings = plain(result.config, resolve=False)
        return ConfigFile(settings, settings.pop("defaults", []), result.header.get("package"))

    def composed(self, overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The path of each file that a trial is composed of, with the package of its settings, '' for the top level."""
        found = self.loader.compute_defaults_list(PRIMARY, list(overrides), RunMode.MULTIRUN)
        for each in cast(list[ResultDefault], found.defaults):
            if each.config_path is not None:
                yield each.config_path, each.package or ""

    @property
    def axes(self) -> list[str]:
        """The axes of a trial in the order of train.yaml."""
        groups = [next(iter(each)) for each in self.read(PRIMARY).defaults if isinstance(each, dict)]
        return [group for group in groups if not group.startswith("override ") and group != "experiment"]
