"""A claims file: what is asked of a study, written down before its first trial."""

import difflib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from skiplab.analysis.claims.compare import Contrast
from skiplab.analysis.text import level_text
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.foreign_files import parse_yaml, read_bytes

FEWEST_SEEDS = 3  # below which no verdict is given
_KINDS = ("difference", "slope", "rate", "interaction", "change")
_DIRECTIONS = ("higher", "lower", "equal")
_ARMS = ("control", "treatment")
_FILE_KEYS = ("question", "factor", "control", "treatment", "tuned", "failed_below", "looks", "claims")
_CLAIM_KEYS = (
    "name", "text", "source", "tested_part", *_ARMS, "metric", "contrast", "over", "cells", "direction", "expected",
    "smallest_effect", "evidence",
)  # fmt: skip
_EVIDENCE_KEYS = (*_ARMS, "metric", "contrast", "over", "direction", "expected", "smallest_effect")


@dataclass(frozen=True, kw_only=True)
class Test:
    """A contrast and the smallest effect worth caring about, on the metric's scale; None if undeclared."""

    contrast: Contrast
    smallest_effect: float | None

    @property
    def margin(self) -> float:
        return self.smallest_effect or 0.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: the primary test decides its verdict in each cell, the evidence can contest it."""

    name: str
    text: str
    source: str
    tested_part: str | None
    primary: Test
    cells: Mapping[str, Sequence[str]]
    evidence: tuple[Test, ...]


@dataclass(frozen=True, kw_only=True)
class Claims:
    """A claims file.

    failed_below: mean skill below which an arm has failed; None calls no arm failed.
    looks: numbers of seeds at which the study is judged, each at its share of alpha; empty: once, at what there is.
    marks: what limits every verdict by them, such as that they were registered late.
    """

    question: str
    tuned: bool
    failed_below: float | None
    looks: tuple[int, ...]
    claims: tuple[Claim, ...]
    sha256: str
    marks: tuple[str, ...] = ()

    @property
    def factor(self) -> str:
        """What the first claim compares."""
        return self.claims[0].primary.contrast.factor

    @property
    def control(self) -> str:
        """What the first claim compares against."""
        return self.claims[0].primary.contrast.control

    @property
    def metrics(self) -> list[str]:
        """The metrics that claims and evidence ask for, each once."""
        tests = [test for claim in self.claims for test in (claim.primary, *claim.evidence)]
        return list(dict.fromkeys(test.contrast.metric for test in tests))


def read_claims(path: Path) -> Claims:
    """Read and check a claims file.

    Raises:
        SkiplabError: where the file can't be read, or says something that isn't valid.
    """
    try:
        content = read_bytes(Path(path))
        parsed = parse_yaml(content)
    except OSError as error:
        raise SkiplabError(f"can't read the claims file {path}: {error.strerror}; give a YAML file") from None
    except ValueError as error:
        raise SkiplabError(f"{path} is no valid YAML: {printable(error)}; mend it there") from None
    try:
        return _claims(parsed, hashlib.sha256(content).hexdigest())
    except SkiplabError as error:
        raise SkiplabError(f"{path}: {error}") from None


def _claims(parsed: Any, sha256: str) -> Claims:
    _check_keys(parsed, _FILE_KEYS, ("factor", "control", "treatment", "claims"), "the file")
    arms = _arms({"factor": level_text(parsed["factor"])}, parsed, "the file")
    if not isinstance(parsed["claims"], list) or not parsed["claims"]:
        raise SkiplabError("claims is empty; valid: a list of at least one claim")
    claims = tuple(_claim(entry, position, arms) for position, entry in enumerate(parsed["claims"], start=1))
    names = [claim.name for claim in claims]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise SkiplabError(f"two claims are named {printable(repeated)!r}; valid: a name of its own for each")
    return Claims(
        question=str(parsed.get("question") or ""),
        tuned=_one_of(parsed.get("tuned", False), (True, False), "tuned"),
        failed_below=_number_or_none(parsed.get("failed_below"), "failed_below"),
        looks=_looks(parsed.get("looks") or []),
        claims=claims,
        sha256=sha256,
    )


def _looks(value: Any) -> tuple[int, ...]:
    """Numbers of seeds, ever more of them."""
    numbers = value if isinstance(value, list) and all(type(each) is int for each in value) else [0]
    if value and (numbers[0] < FEWEST_SEEDS or len(numbers) < 2 or any(a >= b for a, b in pairwise(numbers))):
        raise SkiplabError(
            f"looks is {printable(value)}; valid: two or more rising numbers of seeds from {FEWEST_SEEDS}, "
            "such as [3, 5, 10]"
        )
    return tuple(numbers) if value else ()


def _claim(entry: Any, position: int, arms: Mapping[str, str]) -> Claim:
    where = f"claim {position}"
    _check_keys(entry, _CLAIM_KEYS, ("name", "text", "metric", "contrast", "direction"), where)
    where = f"claim {printable(entry['name'])!r}"
    cells = entry.get("cells") or {}
    if not isinstance(cells, dict) or not all(isinstance(levels, list) and levels for levels in cells.values()):
        raise SkiplabError(f"{where}: cells is {printable(cells)}; valid: a list of levels for each factor")
    if entry.get("over") in cells:
        raise SkiplabError(f"{where}: {entry['over']} is in both over and cells; valid: in one of them")
    evidence = entry.get("evidence") or []
    if not isinstance(evidence, list):
        raise SkiplabError(f"{where}: evidence is {printable(evidence)}; valid: a list of contrasts")
    arms = _arms(arms, entry, where)
    inherited = {name: entry.get(name) for name in ("contrast", "over")}
    for number, item in enumerate(evidence, start=1):
        _check_keys(item, _EVIDENCE_KEYS, ("metric", "direction"), f"{where}: evidence {number}")
    return Claim(
        name=str(entry["name"]),
        text=str(entry["text"]),
        source=str(entry.get("source") or ""),
        tested_part=str(entry["tested_part"]) if entry.get("tested_part") else None,
        primary=_test(entry, arms, where),
        cells={str(name): tuple(level_text(level) for level in levels) for name, levels in cells.items()},
        evidence=tuple(
            _test(inherited | item, _arms(arms, item, where), f"{where}: evidence {number}")
            for number, item in enumerate(evidence, start=1)
        ),
    )


def _arms(inherited: Mapping[str, str], entry: Mapping[str, Any], where: str) -> dict[str, str]:
    """The factor and the two arms, as inherited but for what the entry says."""
    arms = {**inherited, **{name: level_text(entry[name]) for name in _ARMS if entry.get(name) is not None}}
    if arms["control"] == arms["treatment"]:
        raise SkiplabError(f"{where}: control and treatment are both {arms['control']!r}; valid: two different arms")
    return arms


def _test(entry: Mapping[str, Any], arms: Mapping[str, str], where: str) -> Test:
    kind = _one_of(entry["contrast"], _KINDS, f"{where}: contrast")
    direction, over = _one_of(entry["direction"], _DIRECTIONS, f"{where}: direction"), entry.get("over")
    if kind != "difference" and not isinstance(over, str):
        raise SkiplabError(f"{where}: a {kind} needs `over`, a number such as depth; received {over!r}")
    contrast = Contrast(
        metric=str(entry["metric"]),
        kind=kind,
        direction=direction,
        expected=_expected(entry, kind, direction, where),
        over=None if kind == "difference" else over,
        **arms,
    )
    smallest = _number_or_none(entry.get("smallest_effect"), f"{where}: smallest_effect")
    return Test(contrast=contrast, smallest_effect=smallest)


def _expected(entry: Mapping[str, Any], kind: str, direction: str, where: str) -> float:
    """What a slope or a rate is claimed to equal, with how far it may be off; 0 where nothing is."""
    value, within = entry.get("expected"), entry.get("smallest_effect")
    if direction != "equal":
        if value is not None:
            raise SkiplabError(
                f"{where}: expected is {printable(value)}, with direction {direction}; valid: with equal"
            )
        return 0.0
    if kind not in ("slope", "rate"):
        raise SkiplabError(f"{where}: direction equal with contrast {kind}; valid with equal: slope, rate")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SkiplabError(f"{where}: expected is {printable(value)!r}; valid with direction equal: a number")
    if not within:
        raise SkiplabError(f"{where}: direction equal needs a smallest_effect above 0, how far it may be off")
    return float(value)


def _check_keys(entry: Any, valid: Sequence[str], needed: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise SkiplabError(f"{where} is {printable(entry)!r}; valid: keys {', '.join(valid)}")
    for key in entry:
        if key not in valid:
            close = difflib.get_close_matches(str(key), valid, n=1)
            hint = f"{', '.join(valid)}; did you mean {close[0]!r}?" if close else ", ".join(valid)
            raise SkiplabError(f"{where} has the unknown key {printable(key)!r}; valid: {hint}")
    if lacking := [key for key in needed if entry.get(key) is None]:
        raise SkiplabError(f"{where} lacks {', '.join(lacking)}; needed: {', '.join(needed)}")


def _one_of(value: Any, valid: Sequence[Any], where: str) -> Any:
    if value in valid:
        return value
    raise SkiplabError(f"{where} is {printable(value)!r}; valid: {', '.join(map(level_text, valid))}")


def _number_or_none(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise SkiplabError(f"{where} is {printable(value)!r}; valid: a number from 0, or null")
    return float(value)
