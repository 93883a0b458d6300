"""The experiments that come with skiplab: a question, claims, and profiles that say how much of it is run.

An experiment is a folder of experiments/ with a claims.yaml, and an expected.csv where papers printed values; its
profiles are the studies NAME_PROFILE of the presets in conf/experiment/, which name the claims that they are judged by.
A profile that was published keeps its tables in experiments/NAME/PROFILE/, with result.json; there lie also a
claims.yaml of its own, where it is judged by others, and what `skiplab tune` found, tuned.yaml, where its trials take
that over.
"""

import json
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from skiplab.analysis.claims.claims import read_claims
from skiplab.analysis.claims.published import Published, against_study, read_published, render_published
from skiplab.analysis.claims.verdict_text import headline
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.page.report import report_command
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables import terminal
from skiplab.analysis.text import unknown_name
from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.printable import printable
from skiplab.records.file_names import CLAIMS, TUNED
from skiplab.records.registrations import find_claims


class Experiment(NamedTuple):
    """name, folder: of experiments/.  profiles: the presets of each, those with the shortest name first."""

    name: str
    folder: Path
    profiles: dict[str, list[str]]

    @property
    def question(self) -> str:
        return read_claims(self.folder / CLAIMS).question

    @property
    def published(self) -> list[Published]:
        """What papers printed; none where the question is of our own."""
        path = self.folder / "expected.csv"
        return read_published(path) if path.exists() else []

    def claims(self, profile: str) -> Path:
        """What a profile is judged by: run.claims of its first preset."""
        return find_claims(_preset(self.profiles[profile][0])["run"]["claims"])

    def settings(self, profile: str) -> list[str]:
        """The override by which a profile's trials take over what was tuned for them; none where nothing was."""
        tuned = self.folder / profile / TUNED
        return [f"hydra.sweeper.tuned={tuned}"] if tuned.exists() else []

    def words(self, profile: str) -> str:
        """What a profile is, as the comment at the top of its first preset says behind its name."""
        lines = _preset_file(self.profiles[profile][0]).read_text(encoding="utf-8").splitlines()
        comment = takewhile(lambda line: line.startswith("#"), lines[1:])
        return " ".join(line.removeprefix("#").strip() for line in comment).partition(": ")[2]

    def result(self, profile: str) -> dict[str, Any] | None:
        """What the last published run said: date, trials, seconds, machine, verdicts; None where there is none."""
        path = self.folder / profile / "result.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def experiments() -> dict[str, Experiment]:
    """All experiments by name."""
    studies: dict[str, list[str]] = {}
    presets = (project_dir("conf") / "experiment").glob("*.yaml")
    for path in sorted(presets, key=lambda path: (len(path.stem), path.stem)):
        studies.setdefault(_preset(path.stem)["run"]["study"], []).append(path.stem)
    found = {}
    for claims in sorted(project_dir("experiments").glob("*/claims.yaml")):
        start = f"{claims.parent.name}_"
        own = {study.removeprefix(start): presets for study, presets in studies.items() if study.startswith(start)}
        found[claims.parent.name] = Experiment(claims.parent.name, claims.parent, own)
    return found


def _preset_file(name: str) -> Path:
    return project_dir("conf") / "experiment" / f"{name}.yaml"


def _preset(name: str) -> dict[str, Any]:
    return yaml.safe_load(_preset_file(name).read_text(encoding="utf-8"))


def reproduce(
    name: str,
    profile: str,
    overrides: Sequence[str],
    train: Callable[[list[str]], None],
    console: Console | None = None,
) -> None:
    """Run all presets of a profile, judge the experiment's claims, write the study's page, and compare with papers.

    Where the profile was published, says which verdicts differ from those.

    Raises:
        SkiplabError: where there is no such experiment or profile.
    """
    known = experiments()
    if name not in known:
        raise SkiplabError(unknown_name("experiment", name, list(known)))
    experiment = known[name]
    if profile not in experiment.profiles:
        raise SkiplabError(unknown_name(f"profile of {name}", profile, sorted(experiment.profiles)))
    if wrong := [word for word in overrides if "=" not in word and not word.startswith("~")]:
        asked = wrong[0] if wrong[0] in experiment.profiles else profile
        raise SkiplabError(
            f"{wrong[0]} is no override; overrides are written NAME=VALUE, and a profile --profile {asked}"
        )
    claims = experiment.claims(profile)
    read_claims(claims)  # what can't be read is told before anything is trained
    published = experiment.published
    for preset in experiment.profiles[profile]:
        train(["-m", f"experiment={preset}", *experiment.settings(profile), *overrides])
    runs_dir = next((o.split("=", 1)[1] for o in overrides if o.startswith("run.runs_dir=")), "runs")
    study = f"{name}_{profile}"
    console = console or terminal.console()
    verdicts = report_command(study, Path(runs_dir), claims, console)
    if published:
        found = against_study(read_study(study, Path(runs_dir)), published, profile)
        console.print(render_published(found))
    if result := experiment.result(profile):
        console.print(_as_published(verdicts, result))


def _as_published(verdicts: Sequence[Verdict], result: dict[str, Any]) -> Text:
    """How many verdicts are as published, and what the others were."""
    published = result["verdicts"]
    others = [verdict.claim.name for verdict in verdicts if headline(verdict) != published.get(verdict.claim.name)]
    lines = [f"{len(verdicts) - len(others)} of {len(verdicts)} verdicts as published on {result['date']}"]
    lines += [f"  {name} was: {published.get(name, 'not judged')}" for name in others]
    return Text(printable("\n".join(lines)))


def list_experiments(console: Console | None = None) -> None:
    """Print each experiment's question and, of each profile, what it cost and said when it was last published."""
    console = console or terminal.console()
    for experiment in experiments().values():
        console.print(Text(printable(experiment.name), style="bold"))
        console.print(_indented(experiment.question))
        for profile in sorted(experiment.profiles):
            result = experiment.result(profile)
            console.print(_indented(f"{profile}: {experiment.words(profile)}"))
            if result is None:
                console.print(_indented("not run", 4), style="dim")
                continue
            cost = f"{result['trials']} trials, {result['seconds']:.0f} s on {result['each_on']} each"
            console.print(_indented(f"{cost}, {result['date']}, {', '.join(result['hardware'])}", 4), style="dim")
            for claim, words in result["verdicts"].items():
                console.print(_indented(f"{claim}: {words}", 4), style="dim")
        console.print()


def _indented(text: str, by: int = 2) -> Padding:
    return Padding(Text(printable(text)), (0, 0, 0, by), expand=False)
