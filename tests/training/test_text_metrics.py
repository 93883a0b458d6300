"""A command imports nothing of torchmetrics' metrics of text, and their names are there all the same."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torchmetrics

from skiplab.training import text_metrics
from skiplab.training.text_metrics import defer_text_metrics
from tiny_trials import TINY

PROGRAM = """
import json, sys
from skiplab.cli import main
main(["train", *sys.argv[1:]])
imported = list(sys.modules)
import torchmetrics
names = {f"{module.__name__}.{name}": getattr(module, name).__module__
         for module in (torchmetrics, torchmetrics.functional) for name in module.__all__ if name != "functional"}
whole = torchmetrics.functional.text.bleu_score.__module__
print(json.dumps([imported, names, whole]))
"""


def test_training_imports_none_and_all_names_are_there_afterwards(tmp_path) -> None:
    command = [sys.executable, "-c", PROGRAM, *TINY, f"run.runs_dir={tmp_path}", "evaluator=[]"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    imported, names, whole = json.loads(ended.stdout.splitlines()[-1])
    assert "torchmetrics.classification" in imported
    parts = ("torchmetrics.text", "torchmetrics.functional.text", "torchmetrics.multimodal", "transformers")
    assert [name for name in imported if name.startswith(parts)] == []
    for module in (torchmetrics, torchmetrics.functional):
        for name in module.__all__:
            if name != "functional":
                assert names[f"{module.__name__}.{name}"] == getattr(module, name).__module__
    assert whole == "torchmetrics.functional.text.bleu"


@pytest.fixture
def package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A package with a part that is left out."""
    name = "small_metrics"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(text_metrics, "_PACKAGE", name)
    monkeypatch.setattr(text_metrics, "_LEFT_OUT", (f"{name}.text",))
    folder = tmp_path / name
    (folder / "text").mkdir(parents=True)
    (folder / "__init__.py").write_text("from small_metrics.text.words import Words\nNUMBER = 1\n", encoding="utf-8")
    (folder / "text" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "text" / "words.py").write_text("class Words: pass\n", encoding="utf-8")
    yield folder
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, text_metrics._Finder)]
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def imported() -> list[str]:
    return [name for name in sys.modules if name.startswith("small_metrics.")]


def test_a_part_is_imported_by_the_first_use_of_a_name(package) -> None:
    defer_text_metrics()
    defer_text_metrics()
    small = importlib.import_module("small_metrics")
    assert (small.NUMBER, imported()) == (1, [])
    assert not any(isinstance(finder, text_metrics._Finder) for finder in sys.meta_path)
    assert {"Words", "NUMBER", "text"} <= set(dir(small))
    assert small.__spec__.loader is small.__loader__
    assert not isinstance(small.__loader__, text_metrics._LeanLoader)
    assert small.Words.__module__ == "small_metrics.text.words"
    assert vars(small)["Words"] is importlib.import_module("small_metrics.text.words").Words
    with pytest.raises(AttributeError, match="module 'small_metrics' has no attribute 'Other'"):
        _ = small.Other


def test_a_part_is_imported_by_its_own_name(package) -> None:
    defer_text_metrics()
    small = importlib.import_module("small_metrics")
    assert small.text.__file__ == str(package / "text" / "__init__.py")
    assert importlib.import_module("small_metrics.text.words").Words is small.Words


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("__init__.py", "from small_metrics.text.words import Words\nclass More(Words): pass\n"),
        ("__init__.py", "from small_metrics.text.words import *\n"),
        ("__init__.py", "from small_metrics.text.words import Words\ndef __getattr__(name): return name\n"),
        ("one.py", "from small_metrics.text.words import Words\ndef make(): return Words()\n"),
    ],
)
def test_a_package_that_needs_more_than_names_is_imported_as_a_whole(package, file, content) -> None:
    (package / "__init__.py").write_text("from small_metrics.one import make\n", encoding="utf-8")
    (package / file).write_text(content, encoding="utf-8")
    defer_text_metrics()
    small = importlib.import_module("small_metrics")
    words = sys.modules["small_metrics.text.words"]
    found = small.make() if file == "one.py" else small.Words()
    assert type(found) is words.Words
    assert not any(isinstance(finder, text_metrics._Finder) for finder in sys.meta_path)


def test_a_package_that_another_finder_knows_is_imported_by_it(package, monkeypatch) -> None:
    elsewhere = package.rename(package.with_name("elsewhere"))
    found = importlib.util.spec_from_file_location("small_metrics", elsewhere / "__init__.py")
    own = SimpleNamespace(find_spec=lambda name, *_: found if name == "small_metrics" else None)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, own])
    defer_text_metrics()
    small = importlib.import_module("small_metrics")
    assert imported() == []
    assert small.Words.__module__ == "small_metrics.text.words"
    assert not any(isinstance(finder, text_metrics._Finder) for finder in sys.meta_path)


def test_a_package_that_was_imported_stays_as_it_is(package) -> None:
    small = importlib.import_module("small_metrics")
    defer_text_metrics()
    assert not any(isinstance(finder, text_metrics._Finder) for finder in sys.meta_path)
    assert "Words" in vars(small)
