"""A study in one line, and as a small table in a notebook."""

from collections.abc import Iterator, Sequence

from markupsafe import escape

from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import status_counts
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text
from skiplab.printable import counted, printable

_MOST_LEVELS = 8  # of a factor that are named
_ASKED = ".trials .history .layers .table() .verdicts() .compare(METRIC) .figure() .report()"


def study_text(study: Study) -> str:
    """Its name, trials, factors, seeds and metrics, in one line."""
    varied = ", ".join(f"{name} ({levels})" for name, levels in _factors(study)) or "nothing varies"
    trials = f"{counted(len(study.trials))} ({status_counts(study)})"
    count = len(study.metrics)
    return printable(f"Study {study.name}: {trials}; {varied}; {count} metric{'' if count == 1 else 's'}")


def study_html(study: Study) -> str:
    """The same with a row for each, and the names of the metrics and of what else can be asked."""
    rows = [
        ("trials", status_counts(study)),
        *_factors(study),
        ("metrics", ", ".join(study.metrics) or "none yet"),
        *([("not read", f"{len(study.problems)} parts, see .problems")] if study.problems else []),
    ]
    lines = [f"<tr><th>{_shown(name)}</th><td>{_shown(text)}</td></tr>" for name, text in rows]
    asked = " ".join(f"<code>{escape(each)}</code>" for each in _ASKED.split())
    return f"<b>Study {_shown(study.name)}</b><table><tbody>{''.join(lines)}</tbody></table><small>{asked}</small>"


def _factors(study: Study) -> Iterator[tuple[str, str]]:
    """What varies, with its levels; the seeds last."""
    for name in study.factors:
        yield name, _listed([level_text(level) for level in column(study.trials, name).drop_duplicates().sort_values()])
    seeds = sorted(set(study.trials["seed"].dropna()))
    if seeds:
        whole = all(isinstance(seed, int) for seed in seeds) and seeds == list(range(seeds[0], seeds[-1] + 1))
        is_range = whole and len(seeds) > 2
        yield "seed", f"{seeds[0]} to {seeds[-1]}" if is_range else _listed(list(map(level_text, seeds)))


def _listed(texts: Sequence[str]) -> str:
    more = f", and {len(texts) - _MOST_LEVELS} more" if len(texts) > _MOST_LEVELS else ""
    return ", ".join(texts[:_MOST_LEVELS]) + more


def _shown(text: str) -> str:
    return str(escape(printable(text)))
