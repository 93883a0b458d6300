"""Judges published trials anew, where the rule by which they are judged has changed, and writes the documents.

    python experiments/rejudge.py                            # of every experiment
    python experiments/rejudge.py residual_in_diffusion      # of one

Nothing is trained. How settings were found, and which tests were corrected late, rests on records and stays as
published.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace

from generated_tables import write_generated_tables
from published_study import published_caveats, published_study
from write_results import asked_profiles, write_documents

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import write_verdicts
from skiplab.analysis.claims.verdict_text import counted_headline
from skiplab.analysis.claims.verdicts import CORRECTED, judge
from skiplab.analysis.study.tuned_study import UNKNOWN
from skiplab.reproduce import Experiment


def main() -> None:
    for experiment, profile in asked_profiles(argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])):
        rejudge(experiment, profile)
        write_documents(experiment, profile)
    write_generated_tables()


def rejudge(experiment: Experiment, profile: str) -> None:
    """Write a profile's verdicts anew, and print those that changed."""
    claims, before = read_claims(experiment.claims(profile)), published_caveats(experiment, profile)
    verdicts = [
        replace(each, caveats=_caveats(each.caveats, before[each.claim.name], claims.caveats))
        for each in judge(published_study(experiment, profile), claims)
    ]
    folder = experiment.folder / profile
    write_verdicts(verdicts, folder)
    path = folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    headlines = {each.claim.name: counted_headline(each) for each in verdicts}
    for name, headline in headlines.items():
        if headline != result["verdicts"][name]:
            print(f"{experiment.name} {profile}, {name}: {headline}; before: {result['verdicts'][name]}")
    path.write_text(json.dumps(result | {"verdicts": headlines}, indent=2) + "\n", encoding="utf-8")


def _caveats(found: Sequence[str], before: Sequence[str], of_file: Sequence[str]) -> tuple[str, ...]:
    """The caveats of a verdict, with those of before where the published trials can't tell."""
    settings = before[1] if before[0] == "preliminary" else before[0]
    corrected = [each for each in before if each.startswith(CORRECTED)]
    own = [settings if each == UNKNOWN else each for each in found[: len(found) - len(of_file)]]
    return (*own, *corrected, *of_file)


if __name__ == "__main__":
    main()
