"""Reads a claims file and refuses what is not valid."""

import difflib
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar

from skiplab.analysis.claims.claims import FEWEST_SEEDS, Claim, Claims, Test
from skiplab.analysis.claims.claims_keys import (
    ARM_KEYS,
    CLAIM_KEYS,
    CLAIM_NEEDS,
    CONTRASTS,
    DIRECTIONS,
    EVIDENCE_NEEDS,
    FILE_KEYS,
    FILE_NEEDS,
    PART_KEYS,
    TEST_KEYS,
    TEST_NEEDS,
)
from skiplab.analysis.claims.contrasts import ONE_ARM, Contrast, ContrastKind, Direction
from skiplab.analysis.claims.sentence import check_parts, check_reading
from skiplab.analysis.text import level_text
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.foreign_files import parse_yaml, read_bytes

_Value = TypeVar("_Value")


class _Arms(NamedTuple):
    """What is compared: the factor, and two of its arms."""

    factor: str
    control: str
    treatment: str


def read_claims(path: Path) -> Claims:
    """Read and check a claims file.

    Raises:
        SkiplabError: where the file can't be read, or holds anything that is not valid.
    """
    try:
        content = read_bytes(Path(path))
        parsed = parse_yaml(content)
    except OSError as error:
        raise SkiplabError(f"can't read the claims file {path}: {error.strerror}; give a YAML file") from None
    except ValueError as error:
        raise SkiplabError(f"the claims file {path} is not valid YAML: {printable(error)}; correct it there") from None
    try:
        return _claims(parsed, hashlib.sha256(content).hexdigest())
    except SkiplabError as error:
        raise SkiplabError(f"{path}: {error}") from None


def _claims(parsed: Any, sha256: str) -> Claims:
    _check_keys(parsed, FILE_KEYS, FILE_NEEDS, "the file")
    arms = _Arms(*(level_text(parsed[name]) for name in _Arms._fields))
    _check_arms(arms, "the file")
    if not isinstance(parsed["claims"], list) or not parsed["claims"]:
        raise SkiplabError(
            f"claims is {printable(parsed['claims'])!r}; valid: a list of at least one claim, each with its name"
        )
    claims = tuple(_claim(entry, f"claim {position}", arms) for position, entry in enumerate(parsed["claims"], start=1))
    names = [claim.name for claim in claims]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise SkiplabError(f"two claims are named {printable(repeated[0])!r}; valid: a different name for each")
    return Claims(
        question=str(parsed.get("question") or ""),
        tuned=_one_of(parsed.get("tuned", False), (True, False), "tuned"),
        looks=_looks(parsed.get("looks") or []),
        claims=claims,
        sha256=sha256,
    )


def _looks(value: Any) -> tuple[int, ...]:
    """Two or more rising numbers of seeds, or none."""
    if value == []:
        return ()
    are_numbers = isinstance(value, list) and len(value) >= 2 and all(type(each) is int for each in value)
    if are_numbers and value[0] >= FEWEST_SEEDS and all(before < after for before, after in pairwise(value)):
        return tuple(value)
    raise SkiplabError(
        f"looks is {printable(value)}; valid: two or more rising numbers of seeds from {FEWEST_SEEDS}, such as "
        "[3, 5, 10]"
    )


def _date(value: Any, where: str) -> date | None:
    if value is None or type(value) is date:
        return value
    raise SkiplabError(f"{where}: corrected is {printable(value)!r}; valid: a date such as 2026-11-28")


def _claim(entry: Any, where: str, arms: _Arms) -> Claim:
    has_parts = isinstance(entry, dict) and entry.get("parts") is not None
    _check_keys(entry, CLAIM_KEYS, CLAIM_NEEDS if has_parts else (*CLAIM_NEEDS, *TEST_NEEDS), where)
    where = f"claim {printable(entry['name'])!r}"
    evidence = entry.get("evidence") or []
    if not isinstance(evidence, list):
        raise SkiplabError(f"{where}: evidence is {printable(evidence)}; valid: a list of contrasts")
    arms = _arms(arms, entry, where)
    parts = _parts(entry, arms, where) if has_parts else (_part(entry, str(entry["text"]), arms, where),)
    cells = _cells(entry, parts, where)
    for part in parts:
        if part.reads:
            check_reading(part, cells, where)
    return Claim(
        name=str(entry["name"]),
        text=str(entry["text"]),
        source=str(entry.get("source") or ""),
        tested_part=str(entry["tested_part"]) if entry.get("tested_part") else None,
        parts=parts,
        cells=cells,
        evidence=tuple(
            _evidence(item, entry, arms, f"{where}: evidence {number}") for number, item in enumerate(evidence, start=1)
        ),
        corrected=_date(entry.get("corrected"), where),
    )


def _cells(entry: Mapping[str, Any], parts: Sequence[Test], where: str) -> dict[str, tuple[str, ...]]:
    cells = entry.get("cells") or {}
    if not isinstance(cells, dict) or not all(isinstance(levels, list) and levels for levels in cells.values()):
        raise SkiplabError(f"{where}: cells is {printable(cells)}; valid: a list of levels for each factor")
    for key, name in (each for part in parts for each in _within(part.contrast)):
        if name in cells:
            raise SkiplabError(f"{where}: {printable(name)} is in both {key} and cells; valid: in one of the two")
    return {str(name): tuple(level_text(level) for level in levels) for name, levels in cells.items()}


def _parts(entry: Mapping[str, Any], arms: _Arms, where: str) -> tuple[Test, ...]:
    """The parts of a claim whose sentence needs several tests."""
    if given := [key for key in (*TEST_KEYS, "reads") if key in entry and key not in ARM_KEYS]:
        raise SkiplabError(f"{where} has parts and {', '.join(given)}; valid: {', '.join(given)} in each of the parts")
    if not isinstance(entry["parts"], list) or len(entry["parts"]) < 2:
        raise SkiplabError(f"{where}: parts is {printable(entry['parts'])}; valid: a list of two or more tests")
    found = []
    for number, item in enumerate(entry["parts"], start=1):
        here = f"{where}: part {number}"
        _check_keys(item, PART_KEYS, ("says", *TEST_NEEDS), here)
        found.append(_part(item, str(item["says"]), _arms(arms, item, here), here))
    for key in ("over", "mean_over"):
        own = {getattr(part.contrast, key) for part in found}
        if len(own) > 1:
            shown = ", ".join(sorted(level_text(list(each) if isinstance(each, tuple) else each) for each in own))
            raise SkiplabError(
                f"{where}: its parts have {key} {shown}; valid: the same in all parts, so that they are judged in the "
                "same cells"
            )
    check_parts(str(entry["text"]), [part.says for part in found], where)
    return tuple(found)


def _part(entry: Mapping[str, Any], says: str, arms: _Arms, where: str) -> Test:
    reads = entry.get("reads") or {}
    if not isinstance(reads, dict):
        raise SkiplabError(f"{where}: reads is {printable(reads)}; valid: a mapping of phrases to words of the test")
    return replace(
        _test(entry, arms, where), says=says, reads={str(phrase): level_text(words) for phrase, words in reads.items()}
    )


def _evidence(item: Any, claim: Mapping[str, Any], arms: _Arms, where: str) -> Test:
    """A further test of a claim, which has the claim's arms, contrast and `over` where it gives none of its own.

    A claim of several parts passes on its arms alone.
    """
    _check_keys(item, TEST_KEYS, EVIDENCE_NEEDS, where)
    inherited = {name: claim.get(name) for name in ("contrast", "over", "arm")}
    own = inherited | item
    _check_keys(own, TEST_KEYS, TEST_NEEDS, where)
    if own["contrast"] not in ONE_ARM and "arm" not in item:
        own["arm"] = None
    return _test(own, _arms(arms, item, where), where)


def _arms(inherited: _Arms, entry: Mapping[str, Any], where: str) -> _Arms:
    """The arms that an entry gives, else the inherited ones."""
    arms = inherited._replace(**{name: level_text(entry[name]) for name in ARM_KEYS if entry.get(name) is not None})
    _check_arms(arms, where)
    return arms


def _check_arms(arms: _Arms, where: str) -> None:
    if arms.control == arms.treatment:
        raise SkiplabError(
            f"{where}: control and treatment are both {printable(arms.control)!r}; valid: two different arms"
        )


def _test(entry: Mapping[str, Any], arms: _Arms, where: str) -> Test:
    kind = _one_of(entry["contrast"], tuple(CONTRASTS), f"{where}: contrast")
    direction = _one_of(entry["direction"], tuple(DIRECTIONS), f"{where}: direction")
    over = entry.get("over")
    if kind != "difference" and not isinstance(over, str):
        raise SkiplabError(
            f"{where}: over is {printable(over)!r}; valid with contrast {kind}: a factor whose levels are numbers, "
            "such as depth"
        )
    if kind in ONE_ARM and entry.get("arm") is not None:
        treatment = level_text(entry["arm"])
    elif entry.get("arm") is not None:
        raise SkiplabError(
            f"{where}: arm is {printable(entry['arm'])!r} and contrast is {kind}, which compares two; valid with arm: "
            f"contrast {' or '.join(ONE_ARM)}"
        )
    else:
        treatment = arms.treatment
    contrast = Contrast(
        metric=str(entry["metric"]),
        kind=kind,
        direction=direction,
        expected=_expected(entry, kind, direction, where),
        over=None if kind == "difference" else over,
        factor=arms.factor,
        control=arms.control,
        treatment=treatment,
        mean_over=_mean_over(entry, arms.factor, None if kind == "difference" else over, where),
    )
    smallest = _number_or_none(entry.get("smallest_effect"), f"{where}: smallest_effect")
    return Test(contrast=contrast, smallest_effect=smallest)


def _within(contrast: Contrast) -> list[tuple[str, str]]:
    """The factors that vary within a cell, each behind the key that says so."""
    over = [("over", contrast.over)] if contrast.over is not None else []
    return [*over, *(("mean_over", name) for name in contrast.mean_over)]


def _mean_over(entry: Mapping[str, Any], factor: str, over: str | None, where: str) -> tuple[str, ...]:
    names = entry.get("mean_over") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SkiplabError(f"{where}: mean_over is {printable(names)!r}; valid: a list of factors, such as [depth]")
    if taken := [name for name in names if name in (factor, over) or names.count(name) > 1]:
        raise SkiplabError(
            f"{where}: mean_over has {printable(taken[0])}, which is compared, given twice or in over; valid: other "
            "factors, each once"
        )
    return tuple(names)


def _expected(entry: Mapping[str, Any], kind: ContrastKind, direction: Direction, where: str) -> float:
    """The value that a slope or a rate is claimed to equal; 0 for a claim of another direction."""
    value = entry.get("expected")
    if direction != "equal":
        if value is not None:
            raise SkiplabError(
                f"{where}: expected is {printable(value)!r}, but direction is {direction}; valid: direction equal, or "
                "no expected"
            )
        return 0.0
    if kind not in ("slope", "rate"):
        raise SkiplabError(f"{where}: contrast is {kind}; valid with direction equal: slope, rate")
    if not _is_number(value):
        raise SkiplabError(f"{where}: expected is {printable(value)!r}; valid with direction equal: a number")
    if not entry.get("smallest_effect"):
        raise SkiplabError(
            f"{where}: smallest_effect is {printable(entry.get('smallest_effect'))!r}; valid with direction equal: a "
            "number above 0, by how much the value may differ from the expected one"
        )
    return float(value)


def _check_keys(entry: Any, valid: Collection[str], needed: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise SkiplabError(f"{where} is {printable(entry)!r}; valid: a mapping with the keys {', '.join(valid)}")
    for key in entry:
        if key not in valid:
            close = difflib.get_close_matches(str(key), valid, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise SkiplabError(f"{where} has the unknown key {printable(key)!r}; valid: {', '.join(valid)}{hint}")
    if lacking := [key for key in needed if entry.get(key) is None]:
        raise SkiplabError(f"{where} lacks {', '.join(lacking)}; needed: {', '.join(needed)}")


def _one_of(value: Any, valid: Sequence[_Value], where: str) -> _Value:
    if value in valid:
        return valid[valid.index(value)]
    raise SkiplabError(f"{where} is {printable(value)!r}; valid: {', '.join(map(level_text, valid))}")


def _number_or_none(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or value < 0:
        raise SkiplabError(f"{where} is {printable(value)!r}; valid: a number of at least 0, or null")
    return float(value)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
