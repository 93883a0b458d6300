"""One schema says what a record holds; what doesn't fit is refused in one sentence that names the part."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from example_records import KEY, example_record, write_example
from skiplab.errors import SkiplabError
from skiplab.records.record import Record
from skiplab.records.record_json import parse_record, to_json
from skiplab.records.record_schema import FORMAT_VERSION


def encoded(**changes: Any) -> bytes:
    """A record.json with parts that were changed by hand, a dot leading into a part."""
    content: dict[str, Any] = json.loads(json.dumps(example_record()))
    for name, value in changes.items():
        *parents, last = name.split("__")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
    return json.dumps(content).encode()


def test_a_record_is_read_as_it_was_written() -> None:
    files = {"history.csv": {"bytes": 70, "rows": 3}, "weights.safetensors": {"bytes": 9}}
    trained = {"tables": {"history": (70, 2**32 - 1)}, "weights": "ab"}
    factors = {"steps": 3, "rate": 0.1 + 0.2, "flag": True, "none": None, "text": "[1, 2]"}
    summary = {"whole": 3, "exact": 1e-300, "lost": None}
    record = example_record(factors=factors, summary=summary, files=files, trained=trained, details={"a": [{"b": 1}]})
    back = parse_record(to_json(record), KEY)
    assert back == record
    assert {name: type(value) for name, value in back["factors"].items() if name in factors} == {
        name: type(value) for name, value in factors.items()
    }
    assert type(back["summary"]["whole"]) is int


def test_only_what_is_finite_is_written_as_a_number() -> None:
    text = to_json(example_record(summary={"a": math.nan, "b": 1.5}, details={"c": [math.inf]}))
    assert b"NaN" not in text
    assert b"Infinity" not in text
    assert parse_record(text)["summary"] == {"a": None, "b": 1.5}


@pytest.mark.parametrize("version", [None, 0, FORMAT_VERSION + 1, "1", True, []])
def test_another_format_is_refused_before_anything_else_is_read(version) -> None:
    text = json.dumps({"format_version": version, "status": "of another kind"}).encode()
    with pytest.raises(ValueError, match=rf"^its format_version is .*, and .* reads {FORMAT_VERSION} only$"):
        parse_record(text)


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("status", "odd", "its status is 'odd'; valid: 'running', 'interrupted', 'done', 'diverged' or 'failed'"),
        ("key", "../outside", "its key is '../outside'; valid: 16 digits of 0-9a-f"),
        ("step", "3", "its step is '3'; valid: a whole number"),
        ("step", True, "its step is True; valid: a whole number"),
        ("choices", 1, "its choices is 1; valid: a mapping"),
        ("choices__connection", None, "its choices.connection is None; valid: text"),
        ("factors__seed", "0", "its seed is '0'; valid: a number"),
        ("factors__width", [8], "its width is [8]; valid: text, a number, true, false or null"),
        ("factors__width", 2**63, f"its width is {2**63}; valid: whole numbers up to {2**63 - 1}"),
        ("summary", {"loss": "low"}, "its summary.loss is 'low'; valid: a number or null"),
        ("missing", {"loss": 1}, "its missing.loss is 1; valid: text"),
        ("parity", {}, "its parity.num_parameters is missing"),
        ("provenance__wall_seconds", "long", "its provenance.wall_seconds is 'long'; valid: a number"),
        ("files", {"history.csv": 7}, "its files.history.csv is 7; valid: a mapping"),
        ("trained", {"tables": {"history": [0]}, "weights": ""}, "its trained.tables.history.1 is missing"),
        ("trained", {"tables": [], "weights": ""}, "its trained.tables is []; valid: a mapping"),
        ("salvaged", "much", "its salvaged is 'much'; valid: a list"),
        ("unheard_of", 1, "its unheard_of is unknown"),
        ("details", "x" * 10**6, f"its details is '{'x' * 56}...; valid: a mapping"),
    ],
)
def test_what_is_no_record_is_named(part: str, value: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole sentence is compared
        parse_record(encoded(**{part: value}))
    assert str(refused.value) == sentence


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    record = write_example(tmp_path)
    before = record.path.read_bytes()
    with pytest.raises(ValueError, match="its status is 'odd'"):
        record.update(status="odd")
    assert record.path.read_bytes() == before


def test_a_record_of_another_format_is_left_as_it_is(tmp_path: Path) -> None:
    record = write_example(tmp_path)
    record.path.write_bytes(before := encoded(format_version=0))
    for use in (record.read, lambda: record.status, lambda: record.update(step=1)):
        with pytest.raises(SkiplabError) as refused:
            use()
        assert str(refused.value).startswith(f"{record.path} can't be read (its format_version is 0, and ")
    assert record.path.read_bytes() == before


def test_the_record_of_another_trial_is_refused() -> None:
    other = "f" * 16
    with pytest.raises(ValueError, match=f"it is the record of {KEY}, not of this trial"):
        parse_record(encoded(), other)


def test_half_of_a_character_is_read_as_json_escapes_it() -> None:
    text = encoded(error="a file named \udcff")
    assert parse_record(text)["error"] == r"a file named \udcff"


def test_reading_records_imports_no_torch() -> None:
    import subprocess
    import sys

    program = (
        "import importlib, pkgutil, sys, skiplab.records as package\n"
        "for each in pkgutil.iter_modules(package.__path__, 'skiplab.records.'): importlib.import_module(each.name)\n"
        "print([name for name in ('torch', 'skiplab.analysis', 'skiplab.training') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"


def test_a_trial_that_has_not_started_has_no_status(tmp_path: Path) -> None:
    record = Record(tmp_path, KEY)
    assert record.read_if_any() is None
    assert record.status is None
