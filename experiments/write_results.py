"""Writes the published results into the documents anew, from what is published: trials.csv, result.json and the rest.

    python experiments/write_results.py                                # of every experiment
    python experiments/write_results.py residual_in_diffusion          # of one

So the words of all verdicts follow the code without any training. Verdicts, tables and costs go between the `results`
marks of experiments/NAME/README.md, the verdicts in short between those of README.md if it has such marks. The
generated tables are written anew, as by `make docs`. A second run changes nothing. Nothing is written where the
published trials give other verdicts than the published ones.
"""

import argparse

from skiplab.reproduce import experiments

_MOST_ROWS = 120  # of a table in a README


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="*", choices=[[], *experiments()])
    names = parser.parse_args().experiment
    written = {}
    for experiment in experiments().values():
        if not names or experiment.name in names:
            for profile in sorted(experiment.profiles):
                if experiment.result(profile) is not None:
                    written[experiment, profile] = 1


if __name__ == "__main__":
    main()
