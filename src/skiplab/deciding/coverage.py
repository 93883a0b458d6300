"""Which claims need trials that none of the presets sweeps which are decided."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from skiplab.analysis.claims.claims import Claim, Claims, Test
from skiplab.analysis.text import level_text
from skiplab.deciding.ladder_sweep import Point
from skiplab.deciding.sources import Source
from skiplab.paths import project_dir
from skiplab.records.file_names import CLAIMS


def coverage_notes(source: Source, claims: Claims, points: Sequence[Point]) -> Iterator[str]:
    """A sentence about the claims that will read 'not run' somewhere, and the command that trains for all of them."""
    names = [claim.name for claim in claims.claims if not _is_covered(claim, points)]
    if not names:
        return
    verb = "needs" if len(names) == 1 else "need"
    text = (
        f"note: {len(names)} of {len(claims.claims)} claims {verb} trials that aren't among these, for a part or as "
        f"evidence, which will read 'not run': {', '.join(names)}"
    )
    if others := source.others():
        also = f"{', '.join(others)} {'sweeps' if len(others) == 1 else 'sweep'} more of study"
        text += f"; {also} {source.study}, and `{_whole(source.study, others[0])}` decides all"
    yield text


def _whole(study: str, preset: str) -> str:
    """The command that decides all claims of the study, of which this is a preset."""
    name = preset.partition("/")[0]
    if study.startswith(f"{name}_") and (project_dir("experiments") / name / CLAIMS).exists():
        return f"skiplab reproduce {name} --profile {study.removeprefix(f'{name}_')} --decide"
    return f"skiplab decide {study}"


def _is_covered(claim: Claim, points: Sequence[Point]) -> bool:
    """Whether each of its tests, evidence too, has trials of each of its arms in each cell that it names."""
    return all(_has_trials(test, cell, points) for test in claim.tests for cell in _cells(claim, test))


def _cells(claim: Claim, test: Test) -> Iterator[dict[str, str]]:
    within = (test.contrast.over, *test.contrast.mean_over)
    named = {name: levels for name, levels in claim.cells.items() if name not in within}
    return (dict(zip(named, levels, strict=True)) for levels in itertools.product(*named.values()))


def _has_trials(test: Test, cell: Mapping[str, str], points: Sequence[Point]) -> bool:
    contrast = test.contrast
    for arm in contrast.arms:
        wanted = {**cell, contrast.factor: arm.split(", ")[0]}  # an arm may name settings below its option
        own = [point for point in points if all(_level(point, name) == level for name, level in wanted.items())]
        fewest = 1 if contrast.over is None else 2  # levels that a change needs
        if len({_level(point, contrast.over) for point in own}) < fewest:
            return False
    return True


def _level(point: Point, name: str | None) -> str:
    return level_text(point.levels.get(name)) if name is not None else ""
