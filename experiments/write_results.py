"""Writes the published results into the documents anew, from the published files alone.

    python experiments/write_results.py                            # of every experiment
    python experiments/write_results.py residual_in_diffusion      # of one

So what the documents say of a verdict follows the code without any training. Verdicts, tables and costs go between the
`results` marks of experiments/NAME/README.md, and the verdicts in short between those of README.md if it has any. The
generated tables are written anew, as by `make docs`. A second run changes nothing. Where the published trials give
other verdicts than verdicts.csv, it stops.
"""

import argparse

from generated_tables import ROOT, replace_marked, write_generated_tables
from published_study import published_control, published_study, published_verdicts
from result_text import (
    arm_costs_text,
    badges_text,
    cost_text,
    published_text,
    summary_text,
    table_text,
    verdict_text,
)

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.tables.comparison import metrics_of_claims
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.reproduce import Experiment, experiments

_MOST_ROWS = 120  # of a table in a README


def main() -> None:
    for experiment, profile in asked_profiles(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])):
        write_documents(experiment, profile)
        print(f"written: {experiment.name} {profile}")
    write_generated_tables()


def asked_profiles(parser: argparse.ArgumentParser) -> list[tuple[Experiment, str]]:
    """The published profiles of the experiments that the command line names, or of all."""
    parser.add_argument("experiment", nargs="*", help="whose results are written (default: of all)")
    names = parser.parse_args().experiment
    known = experiments()
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown experiment {unknown[0]}; valid: {', '.join(known)}")
    asked = [known[name] for name in names or known]
    return [(each, profile) for each in asked for profile in sorted(each.profiles) if each.result(profile)]


def write_documents(experiment: Experiment, profile: str) -> None:
    """Put a published profile into its README: verdicts, tables, costs; and a list of the verdicts into README.md."""
    result, study = experiment.result(profile), published_study(experiment, profile)
    assert result is not None, "a profile that was published"
    verdicts, claims = published_verdicts(experiment, profile, study), read_claims(experiment.claims(profile))
    control = published_control(experiment, profile)
    metrics = metrics_of_claims(study, claims)
    table = comparison_table(study, factor=claims.factor, metrics=metrics, control=control)
    decide = f"skiplab decide {experiment.profiles[profile][0]}"
    if claims.looks:
        decide = f"skiplab reproduce {experiment.name} --profile {profile} --decide"
    if len(table.frame) <= _MOST_ROWS:
        text = verdict_text(verdicts, decide) + table_text(table)
    else:
        text = summary_text(profile, verdicts, table, decide)
    if control != "plain":
        text += arm_costs_text(study, claims.factor, control)
    mark, own_readme = f"results: {experiment.name} {profile}", experiment.folder / "README.md"
    replace_marked(own_readme, mark, text + cost_text(result))
    if experiment.published:
        replace_marked(own_readme, "published", published_text(experiment))
    readme = ROOT / "README.md"
    if f"<!-- {mark} -->" in readme.read_text(encoding="utf-8"):
        replace_marked(readme, mark, badges_text(verdicts))


if __name__ == "__main__":
    main()
