"""Writes the tables that README.md and docs/ take from what is on disk.

    make docs

README.md gets the questions of the experiments, docs/papers.md their verdicts and how many of their tests are decided,
docs/options.md every axis and every option, with the first paragraph of its docstring, and docs/measurements.md the
metrics that instruments and evaluators declare. No study is needed, and a second run changes nothing.
"""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hydra.utils import get_object

from skiplab.analysis.statistics.sample_size import MOST_SEEDS
from skiplab.analysis.text import level_text
from skiplab.metrics import Metric
from skiplab.reproduce import experiments

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
_OPTIONS = """\
# Options

Each axis of a trial, its default and its options; `make docs` writes this page. Choose an option with
`skiplab train AXIS=OPTION`; `skiplab train AXIS=OPTION --help` shows its settings.
"""
_MEASUREMENTS = """\
# Measurements

The metrics that each [instrument](options.md#instrument) and [evaluator](options.md#evaluator) writes into the summary
of a record; `make docs` writes this page. Tables take them as `--metric NAME`, claims files as `metric: NAME`.
[What measurements can say](what_measurements_say.md) explains the columns.
"""
_COMPARED = {"linear": "difference", "log": "ratio", "bounded": "difference, within [-1, 1]"}


def write_generated_tables() -> None:
    """Write every generated table anew."""
    replace_marked(ROOT / "README.md", "experiments", experiments_list())
    replace_marked(ROOT / "docs" / "papers.md", "experiments", experiments_table())
    replace_marked(ROOT / "docs" / "papers.md", "decided", decided_table())
    (ROOT / "docs" / "options.md").write_text(options_page(), encoding="utf-8")
    (ROOT / "docs" / "measurements.md").write_text(measurements_page(), encoding="utf-8")


def replace_marked(path: Path, mark: str, text: str) -> None:
    """Replace what stands between <!-- mark --> and <!-- /NAME -->, NAME being the mark's first word."""
    name = re.split(r"[ :]", mark)[0]
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    content, count = pattern.subn(lambda match: match[1] + text + match[2], path.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{path} must hold the marks <!-- {mark} --> and <!-- /{name} --> once, found {count}")
    path.write_text(content, encoding="utf-8")


def axes_table() -> str:
    """A row per axis: what it decides, and its default."""
    rows = [[f"[`{axis}`](#{axis})", text, _default(axis)] for axis, text in _axes().items()]
    return _table(["axis", "decides", "default"], rows)


def experiments_list() -> str:
    """A line per experiment: its question."""
    return "".join(
        f"- [{name}](experiments/{name}/README.md): {each.question}\n" for name, each in experiments().items()
    )


def experiments_table() -> str:
    """A row per experiment: its question, the verdict of each claim in short, and the profiles not run."""
    rows = []
    for name, experiment in experiments().items():
        results = {profile: experiment.result(profile) for profile in sorted(experiment.profiles)}
        verdicts = [f"*{profile}*: {_in_short(result['verdicts'])}" for profile, result in results.items() if result]
        missing = ", ".join(profile for profile, result in results.items() if not result)
        link = f"[{name}](../experiments/{name}/README.md)"
        rows.append([link, experiment.question, "<br>".join(verdicts), missing])
    return _table(["experiment", "asks", "says", "not run"], rows)


def decided_table() -> str:
    """A row per published profile: how many of its tests are decided, and what would decide the others."""
    rows, tests, decided = [], 0, 0
    for name, experiment in experiments().items():
        for profile in sorted(experiment.profiles):
            if not experiment.result(profile):
                continue
            verdicts, trials = (
                pd.read_csv(experiment.folder / profile / f"{each}.csv") for each in ("verdicts", "trials")
            )
            parts = verdicts[(verdicts["role"] == "part") & (verdicts["conclusion"] != "not applicable")]
            is_open = parts["conclusion"] == "inconclusive"
            tests, decided = tests + len(parts), decided + int((~is_open).sum())
            seconds = trials.groupby("seed")["wall_seconds"].sum().median() if is_open.any() else None
            rows.append(
                [
                    f"[{name}](../experiments/{name}/README.md) {profile}",
                    f"{(~is_open).sum()} of {len(parts)}" if len(parts) else "none applies",
                    "; ".join(_still_open(claim, own) for claim, own in parts[is_open].groupby("claim", sort=False)),
                    "" if seconds is None else f"{seconds:.0f}",
                ]
            )
    rows.append(["all", f"{decided} of {tests} ({decided / tests:.0%})", "", ""])
    return _table(["profile", "tests decided", "open, with the seeds that would decide", "seconds a seed"], rows)


def options_page() -> str:
    """A section per axis, and in it a row per option."""
    sections = [f"{_OPTIONS}\n{axes_table()}"]
    for axis, text in _axes().items():
        paths = sorted((CONF / axis).glob("*.yaml"))
        columns = {"option": [f"`{path.stem}`" for path in paths], "is": [_description(path) for path in paths]}
        if axis in ("instrument", "evaluator"):
            columns["its metrics are"] = [_roles(path) for path in paths]
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        heading = f"## {axis}\n\n{text[0].upper()}{text[1:]}. Default: {_default(axis)}."
        sections.append(f"{heading}\n\n{_table(list(columns), rows)}")
    return "\n".join(sections)


def measurements_page() -> str:
    """A section per instrument and evaluator, and in it a row per metric."""
    sections = [_MEASUREMENTS]
    for axis in ("instrument", "evaluator"):
        for path in sorted((CONF / axis).glob("*.yaml")):
            if metrics := get_object(_target(path)).metrics:
                columns = ["metric", "is", "better", "compared by", "role"]
                rows = [
                    [f"`{name}`", metric.label, metric.direction or "neither", _compared(metric), metric.role]
                    for name, metric in metrics.items()
                ]
                sections.append(f"## {axis} {path.stem}\n\n{_table(columns, rows)}")
    return "\n".join(sections)


def _axes() -> dict[str, str]:
    """What each axis decides, in the order of conf/train.yaml.

    Raises:
        SystemExit: if train.yaml and axes.yaml disagree about which axes there are.
    """
    texts, names = _read(CONF / "axes.yaml"), list(_defaults())
    if wrong := set(texts).symmetric_difference(names):
        raise SystemExit(f"conf/axes.yaml and the defaults of conf/train.yaml differ in {', '.join(sorted(wrong))}")
    return {name: texts[name] for name in names}


def _defaults() -> dict[str, Any]:
    """The default of each axis: an option, or a list of options."""
    entries = [entry for entry in _read(CONF / "train.yaml")["defaults"] if isinstance(entry, dict)]
    defaults = {name: option for entry in entries for name, option in entry.items()}
    return {name: option for name, option in defaults.items() if name != "experiment" and "/" not in name}


def _default(axis: str) -> str:
    default = _defaults()[axis]
    return ", ".join(f"`{option}`" for option in ([default] if isinstance(default, str) else default))


def _description(path: Path) -> str:
    """What an option is: its docstring's first paragraph, or the option that it varies and its own settings."""
    content = _read(path)
    if target := content.get("_target_"):
        paragraph = (inspect.getdoc(get_object(target)) or "").split("\n\n")[0]
        return " ".join(paragraph.split()).replace("|", r"\|")
    if "defaults" in content:
        settings = [f"{name}={level_text(value)}" for name, value in content.items() if name != "defaults"]
        return f"`{content['defaults'][0]}` with {', '.join(settings)}"
    return f"no {path.parent.name}"


def _roles(path: Path) -> str:
    """Whether the metrics of an instrument or evaluator are outcomes, mechanisms or both."""
    roles = {metric.role for metric in get_object(_target(path)).metrics.values()}
    return " and ".join(f"{role}s" for role in ("outcome", "mechanism") if role in roles)


def _compared(metric: Metric) -> str:
    return _COMPARED[metric.scale] if metric.kind == "continuous" else f"rate of the {metric.kind}"


def _target(path: Path) -> str:
    """What an option makes, also if it varies another option."""
    content = _read(path)
    return content["_target_"] if "_target_" in content else _target(path.parent / f"{content['defaults'][0]}.yaml")


def _read(path: Path) -> Mapping[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _still_open(claim: str, tests: pd.DataFrame) -> str:
    """A claim, how many of its tests are open, and between which numbers of seeds each would be decided."""
    lows, highs = tests["seeds_low"].dropna(), tests["seeds_high"]
    if lows.empty:
        seeds = f"more than {MOST_SEEDS}"
    elif highs.isna().any():
        seeds = f"{lows.min():.0f} to more than {MOST_SEEDS}"
    else:
        seeds = f"{lows.min():.0f} to {highs.max():.0f}" if lows.min() < highs.max() else f"{lows.min():.0f}"
    times = f", {len(tests)} tests" if len(tests) > 1 else ""
    return f"{claim.replace('_', ' ')}{times} ({seeds})"


def _in_short(verdicts: Mapping[str, str]) -> str:
    """Of each verdict its first words."""
    words = {claim: re.split(r" in |[,:;]| [(]", verdict)[0] for claim, verdict in verdicts.items()}
    return "; ".join(f"{claim.replace('_', ' ')} **{word}**" for claim, word in words.items())


if __name__ == "__main__":
    write_generated_tables()
