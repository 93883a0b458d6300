"""Leaves the metrics of text and of several modalities out of torchmetrics' import, until they are used.

Lightning imports all of torchmetrics, and these parts import transformers where it is installed: a fifth of the time in
which a command starts.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PACKAGE = "torchmetrics"
_LEFT_OUT = tuple(f"{_PACKAGE}.{part}" for part in ("text", "functional.text", "multimodal", "functional.multimodal"))


def defer_text_metrics() -> None:
    """Let the next import of torchmetrics leave these parts out; without effect if it is imported already.

    Their names stay: the first use of `torchmetrics.BLEUScore`, or an import of `torchmetrics.text`, imports them.
    """
    if _PACKAGE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Later:
    """Stands for a name of a module that isn't imported yet."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Placeholder(ModuleType):
    """Stands for a module that is left out; has any name."""

    def __getattr__(self, name: str) -> _Later:
        if name == "__all__":
            raise ImportError(f"{self.__name__} is left out, and what a star stands for isn't known")
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self.__name__, name)


class _Finder(MetaPathFinder, Loader):
    """Finds torchmetrics, and while that is loaded placeholders for the parts that are left out."""

    is_loading = False

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname == _PACKAGE:
            others = [finder for finder in sys.meta_path if finder is not self]
            specs = (finder.find_spec(fullname, path, target) for finder in others)
            found = next((spec for spec in specs if spec), None)
            if found and found.loader:
                found.loader = _LeanLoader(found.loader, self)
            return found
        if self.is_loading and any(f"{fullname}.".startswith(f"{part}.") for part in _LEFT_OUT):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """A placeholder holds nothing."""


class _LeanLoader(Loader):
    """Loads torchmetrics with placeholders for the parts that are left out; with all parts, if it needs more of them.

    Names may stand for what is left out in packages alone, which pass them on; a function could not use them.
    """

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._finder.is_loading = True
        try:
            self._loader.exec_module(module)
            is_lean = all(_passes_on(loaded) for loaded in _loaded().values())
        except Exception:
            is_lean = False
        sys.meta_path.remove(self._finder)
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        for name, loaded in _loaded().items():
            if loaded is not module and (isinstance(loaded, _Placeholder) or not is_lean):
                _forget(name)
        if not is_lean:
            self._loader.exec_module(module)
            return
        for loaded in _loaded().values():
            _import_when_used(loaded)


def _loaded() -> dict[str, ModuleType]:
    """The modules of torchmetrics that are imported."""
    return {name: module for name, module in sys.modules.items() if f"{name}.".startswith(f"{_PACKAGE}.")}


def _passes_on(module: ModuleType) -> bool:
    """Whether a module has no names for what is left out, or is a package that can import them when they are used."""
    if isinstance(module, _Placeholder) or not any(isinstance(value, _Later) for value in vars(module).values()):
        return True
    return hasattr(module, "__path__") and "__getattr__" not in vars(module)


def _forget(name: str) -> None:
    """Take a module out of those that are imported."""
    del sys.modules[name]
    parent, _, child = name.rpartition(".")
    vars(sys.modules.get(parent, ModuleType(parent))).pop(child, None)


def _import_when_used(module: ModuleType) -> None:
    """Give a module, in place of what stands for names of parts that are left out, a way to import them."""
    later = {name: value for name, value in vars(module).items() if isinstance(value, _Later)}
    parts = {part.rpartition(".")[2]: part for part in _LEFT_OUT if part.rpartition(".")[0] == module.__name__}
    if not later and not parts:
        return
    for name in later:
        delattr(module, name)

    def find(name: str) -> Any:
        if name in parts:
            return importlib.import_module(parts[name])
        if name not in later:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(later[name].module), later[name].name)
        setattr(module, name, found)
        return found

    vars(module)["__getattr__"] = find
    vars(module)["__dir__"] = lambda: sorted({*vars(module), *later, *parts})
