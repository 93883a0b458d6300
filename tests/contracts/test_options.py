"""An option is one file and one YAML of the same name, whose keys are the constructor's keyword-only arguments."""

import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf

from example_records import example_record
from option_files import AXES, CONF, PACKAGE, every_option, options
from skiplab.training.factory import factory
from skiplab.training.trust import record_config


def node_of(axis: str, option: str, config):
    """The option's own node; options of which several are taken at once nest under their own names."""
    node = config[axis]
    return node if "_target_" in node else node[option]


def own_target(axis: str, option: str) -> str | None:
    """The _target_ that the YAML, or the one that it is built on, names within this package."""
    content = yaml.safe_load((CONF / axis / f"{option}.yaml").read_text())
    target = content.get("_target_") or (own_target(axis, content["defaults"][0]) if "defaults" in content else None)
    return target if target and target.startswith("skiplab.") else None


TARGETS = {
    (axis, option): target for axis, option in every_option() if (target := own_target(axis, option)) is not None
}
CLASSES = {place: cls for place, target in TARGETS.items() if inspect.isclass(cls := get_object(target))}


def module_file(target: str) -> Path:
    return PACKAGE.parent / (target.rpartition(".")[0].replace(".", "/") + ".py")


@pytest.mark.parametrize(("axis", "option"), every_option())
def test_keys_are_the_constructors_keyword_only_arguments(axis: str, option: str, flipped) -> None:
    node = node_of(axis, option, flipped(axis, option).config)
    keys = {key for key in node if key not in ("_target_", "_partial_")}
    if node._target_ is None:
        assert keys == set()
        return
    parameters = inspect.signature(get_object(node._target_)).parameters.values()
    if node._target_.startswith("skiplab."):
        assert keys == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    else:
        assert keys <= {p.name for p in parameters}


@pytest.mark.parametrize(("axis", "option"), every_option())
def test_its_settings_are_valid(axis: str, option: str, flipped) -> None:
    node = node_of(axis, option, flipped(axis, option).config)
    if node._target_ is not None:
        factory(node, object)


@pytest.mark.parametrize("number", range(max(len(options(axis)) for axis in AXES)))
def test_a_record_of_it_needs_no_trust(number: int, compose, flipped, tmp_path) -> None:
    """A record holds the option of this number of every axis that has so many; a refusal names the option."""
    config = compose().config
    for axis in AXES:
        if number < len(options(axis)):
            config[axis] = flipped(axis, options(axis)[number]).config[axis]
    OmegaConf.save(config, tmp_path / "config.yaml", resolve=True)
    kept = record_config(tmp_path, example_record(), trust=False)
    for name, node in OmegaConf.to_container(config, resolve=True).items():
        assert OmegaConf.to_container(kept)[name] == node, name
    assert set(kept) == set(config)


@pytest.mark.parametrize(("axis", "option"), sorted(CLASSES))
def test_yaml_is_named_after_its_options_file(axis: str, option: str) -> None:
    stem = module_file(TARGETS[axis, option]).stem
    if option != stem:
        assert option.startswith(f"{stem}_"), f"{axis}/{option}.yaml targets {stem}.py; a variant is {stem}_<variant>"
        content = yaml.safe_load((CONF / axis / f"{option}.yaml").read_text())
        assert content["defaults"] == [stem, "_self_"], "a variant is built on its option's own YAML"


@pytest.mark.parametrize(("axis", "option"), sorted(CLASSES))
def test_file_is_named_after_its_class(axis: str, option: str) -> None:
    cls = CLASSES[axis, option]
    stem = module_file(TARGETS[axis, option]).stem
    own = cls.__name__.lower() == stem.replace("_", "")  # acronyms keep the capitals that the field gives them
    # None is no name for a class in Python
    assert own or (stem == "none" and cls.__name__.startswith("No"))


def framework_bases(classes: list[type]) -> set[type]:
    return {
        base
        for cls in classes
        for base in cls.__mro__[1:]
        if base.__module__.startswith("skiplab.") and base not in classes
    }


def option_modules() -> list[Path]:
    """Files that hold an option: in a folder of options, all that define a class of the axis' kind."""
    found = []
    for folder in sorted({module_file(TARGETS[place]).parent for place in CLASSES}):
        bases = framework_bases([cls for place, cls in CLASSES.items() if module_file(TARGETS[place]).parent == folder])
        for path in sorted(folder.glob("[!_]*.py")):
            module = importlib.import_module("skiplab." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
            public = [
                cls
                for name, cls in vars(module).items()
                if inspect.isclass(cls) and cls.__module__ == module.__name__ and not name.startswith("_")
            ]
            if any(not bases or (cls not in bases and issubclass(cls, tuple(bases))) for cls in public):
                found.append(path)
    return found


@pytest.mark.parametrize("path", option_modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_option_has_a_yaml(path: Path) -> None:
    targeted = {module_file(target) for target in TARGETS.values()}
    assert path in targeted, f"no YAML of conf/ targets {path.relative_to(PACKAGE)}"


def test_globbing_finds_the_packages_of_options() -> None:
    folders = {str(path.parent.relative_to(PACKAGE)) for path in option_modules()}
    assert {
        "blocks/connections",
        "blocks/branches",
        "blocks/norms",
        "backbones",
        "instruments",
        "evaluators",
    } <= folders


def test_every_axis_has_a_default_in_the_root_config() -> None:
    defaults = yaml.safe_load((CONF / "train.yaml").read_text())["defaults"]
    chosen = {axis: option for entry in defaults if isinstance(entry, dict) for axis, option in entry.items()}
    for axis in AXES:
        names = chosen[axis] if isinstance(chosen[axis], list) else [chosen[axis]]
        assert set(names) <= set(options(axis))
