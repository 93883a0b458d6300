"""Recomputes every published number from the published trials, independently: nothing of skiplab is imported.

    python tests/recheck/recheck.py [EXPERIMENTS]     # the folder with NAME/PROFILE/trials.csv; default: experiments

It reads trials.csv, metrics.json and the claims file of each profile, and compares with verdicts.csv, table.csv and
result.json. Of every claim it also checks that what its text says is what its contrast tests. The exit status is 1 if
anything differs, and each difference has a line. docs/statistics.md and docs/claims.md say what is computed.
"""

import hashlib
import itertools
import json
import math
import sys
from collections import Counter
from pathlib import Path

import formulas
import numpy as np
import yaml
from judging import (
    IN_HEADLINE,
    OPPOSITE,
    WEAKEST,
    Trials,
    bound_to_exceed,
    cell_text,
    contrast_name,
    interval,
    judge,
    level,
    metric_contrast,
    number,
    open_sides,
    read_csv,
    read_tests,
    shift,
)
from sentences import sentence_faults

_SHOWN = 20  # differences of a profile that are named
_KEYS = ("claim", "role", "says", "metric", "contrast", "over", "control", "treatment", "direction", "cell")


class Differences:
    """Counts the numbers and words that were compared, and keeps what differs."""

    def __init__(self):
        self.compared, self.found = 0, []

    def check(self, where, published, again, within=1e-10):
        self.compared += 1
        if isinstance(again, float):
            shown = number(published)
            same = math.isnan(shown) == math.isnan(again)
            same = same and (math.isnan(again) or math.isclose(shown, again, rel_tol=1e-7, abs_tol=within))
        else:
            same = str(published) == str(again)
        if not same:
            self.found.append(f"{where}: published {published!r}, recomputed {str(again)!r}")


def main(experiments):
    compared, faults, trials, claims = 0, [], 0, 0
    profiles = sorted(path.parent for path in experiments.glob("*/*/trials.csv"))
    for folder in profiles:
        found, num_trials, num_claims = recheck(folder)
        print(
            f"{folder.parent.name} {folder.name}: {num_trials} trials, {num_claims} claims, {found.compared:,} numbers"
        )
        print("".join(f"  differs: {line}\n" for line in found.found[:_SHOWN]), end="")
        if len(found.found) > _SHOWN:
            print(f"  and {len(found.found) - _SHOWN} more")
        compared, trials, claims = compared + found.compared, trials + num_trials, claims + num_claims
        faults += found.found
    print(
        f"recheck: {len(profiles)} profiles, {trials:,} trials, {claims} claims, {compared:,} numbers recomputed, "
        f"{len(faults)} differ"
    )
    return int(bool(faults) or not profiles)


def recheck(folder):
    """Compares the published files of one profile; returns the differences, and the numbers of trials and claims."""
    own = folder / "claims.yaml"
    content = (own if own.exists() else folder.parent / "claims.yaml").read_bytes()
    claims = yaml.safe_load(content)
    tests = read_tests(claims)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    trials = Trials(read_csv(folder / "trials.csv"), metrics)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    looks = claims.get("looks") or []
    differences = Differences()
    for claim, parts, _ in tests:
        faults = sentence_faults(claim, parts)
        differences.compared += 1
        differences.found += faults
    rows = read_csv(folder / "verdicts.csv")
    sha256 = hashlib.sha256(content).hexdigest()
    parts, evidence = judge(trials, tests, looks)
    _check_verdicts(rows, tests, parts, evidence, sha256, differences)
    _check_claims(rows, tests, parts, evidence, result, differences)
    _check_result(result, trials, sha256, differences)
    _check_table(read_csv(folder / "table.csv"), trials, claims["factor"], tests, differences)
    return differences, len(trials.rows), len(tests)


def _check_verdicts(rows, tests, parts, evidence, sha256, differences):
    """Every number and word of each test in each cell."""
    wanted = {}
    for (claim, _, cell), seen in (*parts.items(), *evidence.items()):
        test = seen["test"]
        role = "part" if test["says"] else "evidence"
        words = (claim, role, test["says"], test["metric"], contrast_name(test), test["over"] or "")
        wanted[(*words, test["control"], test["treatment"], test["direction"], cell)] = seen
    published = {tuple(row[key] for key in _KEYS): row for row in rows}
    differences.check("verdicts.csv: rows", len(rows), sum(map(len, (parts, evidence))))
    for key in published.keys() ^ wanted.keys():
        differences.check(f"verdicts.csv: {' | '.join(key)}", key in published, key in wanted)
    for key in [key for key in wanted if key in published]:
        row, again = dict(published[key]), _recomputed(wanted[key], sha256)
        row["collapsed"] = "; ".join(sorted(row["collapsed"].split("; ")))
        # BCa counts the resamples below the mean; rounding decides the few whose mean is the very same.
        width = again["bootstrap_high"] - again["bootstrap_low"]
        within = {"bootstrap_low": 1e-3 * width, "bootstrap_high": 1e-3 * width} if width > 0 else {}
        for column, value in again.items():
            where = f"verdicts.csv: {key[0]}, {key[3]} {key[4]}, {key[-1]}: {column}"
            differences.check(where, row[column], value, within.get(column, 1e-10))


def _recomputed(seen, sha256):
    """The columns of a row of verdicts.csv."""
    test, advantage = seen["test"], seen["advantage"]
    mean, low, high = interval(seen)
    treatment, control = seen["treatment"], seen["control"]
    welch, r, greater = (math.nan, math.nan), math.nan, math.nan
    if not test["one_arm"]:
        better, worse = (treatment, control) if test["sign"] > 0 else (control, treatment)
        welch, r = formulas.welch(better, worse), formulas.correlation(treatment, control)
        greater = formulas.probability_greater(better, worse)
    boot = formulas.bootstrap(advantage)
    seeds = (math.nan, math.nan)
    smaller, greater_still = open_sides(seen)
    no_verdict = (smaller and mean >= -test["margin"]) or (greater_still and mean <= bound_to_exceed(test))
    if seen["conclusion"] != "inconclusive" or seen["lost"] or no_verdict:
        pass
    elif seen["events"] and seen["n"]:
        seeds = formulas.seeds_that_decide_rates(
            seen["metric"]["kind"],
            seen["events"],
            seen["n"],
            test["direction"],
            test["margin"],
            seen["num"],
            shift(seen),
        )
    else:
        seeds = formulas.seeds_that_decide(advantage, mean, test["direction"], test["margin"], seen["num"])
    smallest = test.get("smallest_effect")
    return {
        "scale": seen["metric"]["scale"],
        "expected": float(test["expected"]) if test["direction"] == "equal" else math.nan,
        "smallest_effect": math.nan if smallest is None else float(smallest),
        "instead_of": test.get("instead_of", ""),
        "conclusion": seen["conclusion"],
        "n": seen["n"],
        "advantage": float(mean),
        "low": float(low),
        "high": float(high),
        "welch_low": float(welch[0]),
        "welch_high": float(welch[1]),
        "bootstrap_low": float(boot[0]),
        "bootstrap_high": float(boot[1]),
        "correlation": float(r),
        "effect_size": float(formulas.hedges_g(advantage)),
        "probability_of_improvement": float(greater),
        "p_supported": float(seen["p"][0]),
        "p_contradicted": float(seen["p"][1]),
        "permutation_p": float(formulas.permutation_p(advantage, bound_to_exceed(test))),
        "alpha": float(seen["alpha"]),
        "seeds_low": seeds[0],
        "seeds_high": seeds[1],
        "collapsed": "; ".join(sorted(seen["collapsed"])),
        "claims_sha256": sha256,
    }


def _check_claims(rows, tests, parts, evidence, result, differences):
    """The conclusion of each claim, in its cells and over all, where it is contested, and its headline."""
    differences.check("result.json: verdicts", sorted(result["verdicts"]), sorted(claim["name"] for claim, *_ in tests))
    for claim, own, _ in tests:
        name = claim["name"]
        by_cell = {}
        for (other, _, cell), seen in parts.items():
            if other == name:
                by_cell.setdefault(cell, []).append(seen)
        concluded = {
            cell: next(each for each in WEAKEST if each in {seen["conclusion"] for seen in all_parts})
            for cell, all_parts in by_cell.items()
        }
        contested = sum(
            any(
                other == name and item["conclusion"] == OPPOSITE.get(concluded[cell]) and _agree(item, all_parts[0])
                for (other, *_), item in evidence.items()
            )
            for cell, all_parts in by_cell.items()
        )
        conclusion, text = _headline(Counter(concluded.values()), contested)
        of_claim = [row for row in rows if row["claim"] == name]
        written = of_claim[0]["caveats"] if of_claim else ""
        for row in of_claim:
            where = f"verdicts.csv: {name}, {row['metric']} {row['contrast']}, {row['cell']}"
            in_cell = concluded.get(row["cell"]) if row["role"] == "part" else ""
            differences.check(f"{where}: cell_conclusion", row["cell_conclusion"], in_cell)
            differences.check(f"{where}: claim_conclusion", row["claim_conclusion"], conclusion)
            differences.check(f"{where}: caveats", row["caveats"], written)
        caveats = written.split("; ")
        preliminary = any(seen["n"] == 3 for all_parts in by_cell.values() for seen in all_parts)
        differences.check(f"verdicts.csv: {name}: preliminary", "preliminary" in caveats, preliminary)
        exploratory = any(part.get("smallest_effect") is None for part in own)
        differences.check(f"verdicts.csv: {name}: exploratory", "exploratory" in caveats, exploratory)
        day = claim.get("corrected")
        corrected = f"its test was corrected on {day}, after trials"
        if day is None or result["date"] < str(day):  # later, it depends on when the first trial began: not published
            differences.check(f"verdicts.csv: {name}: corrected", "was corrected on" in written, day is not None)
        if "was corrected on" in written:
            differences.check(f"verdicts.csv: {name}: corrected", corrected in caveats, True)
        text += f" ({', '.join(caveats)})" if written else ""
        differences.check(f"result.json: {name}", result["verdicts"].get(name), text)


def _agree(one, other):
    shared = one["cell"].keys() & other["cell"].keys()
    return all(one["cell"][name] == other["cell"][name] for name in shared)


def _headline(counts, contested):
    """The conclusion over all cells, and the line that says so, without its caveats."""
    total, left_out = sum(counts.values()), counts["not applicable"]
    applicable = [each for each in counts if each != "not applicable"] or list(counts)
    conclusion = text = applicable[0] if len(applicable) == 1 else "mixed"
    if conclusion == "mixed":
        each = ", ".join(f"{name} in {counts[name]}" for name in IN_HEADLINE if counts[name])
        text = f"mixed: {each} of {total} cells"
    elif conclusion == "not applicable":
        text = "not applicable: an arm collapsed"
    elif conclusion == "supported":
        text = f"supported in {counts['supported']} of {total} cells"
        text += f", not applicable in {left_out}" if left_out else ""
    elif left_out:
        text += f", not applicable in {left_out} of {total} cells"
    return conclusion, text + (f", contested in {contested}" if contested else "")


def _check_result(result, trials, sha256, differences):
    seconds = sum(number(row["wall_seconds"]) for row in trials.rows)
    differences.check("result.json: trials", result["trials"], len(trials.rows))
    differences.check("result.json: seeds", result["seeds"], len(trials.seeds))
    differences.check("result.json: seconds", abs(result["seconds"] - seconds) <= 0.0501, True)
    differences.check("result.json: claims_sha256", result["claims_sha256"], sha256)


def _check_table(rows, trials, factor, tests, differences):
    """Every number of the comparison table, which has each metric of the claims, in each cell, for each arm."""
    tested = {test["metric"] for _, parts, evidence in tests for test in (*parts, *evidence)}
    measured = {name for name in tested & trials.metrics.keys() if any(row.get(name) for row in trials.rows)}
    controls = {row["control"] for row in rows}
    arms = {trials.arm(row, factor) for row in trials.rows} - controls
    cells = trials.cells(factor)
    shown = {row["metric"] for row in rows}
    differences.check("table.csv: metrics of the claims without a row", sorted(measured - shown), [])
    differences.check("table.csv: metrics that no trial has", sorted(shown - trials.metrics.keys()), [])
    found = {(row["metric"], row["treatment"], cell_text(_table_cell(row))) for row in rows}
    every = {(name, arm, cell_text(cell)) for name in shown for arm in arms for cell in cells}
    differences.check("table.csv: rows of something else", sorted(found - every), [])
    # Where all trials are done, a row may be left out if none has the metric; some have it, though no finite number.
    with_values = {
        (name, arm, cell_text(cell))
        for name, arm, cell in itertools.product(shown, arms, cells)
        if any(row.get(name) or row["status"] != "done" for row in trials.inside(cell))
    }
    differences.check("table.csv: rows left out", sorted(with_values - found), [])
    differences.check("table.csv: rows that differ", len(found), len(rows))
    for row in [row for row in rows if row["metric"] in trials.metrics]:
        cell = _table_cell(row)
        differences.check(f"table.csv: {row['metric']}: label", row["label"], trials.metrics[row["metric"]]["label"])
        test = {"factor": factor, "metric": row["metric"], "contrast": "difference", "over": None, "sign": 1.0}
        test |= {"control": row["control"], "treatment": row["treatment"], "one_arm": not row["control"]}
        seen = metric_contrast(trials, test, cell)
        where = f"table.csv: {row['metric']}, {cell_text(cell)}, {row['treatment']}"
        for column, value in _table_row(trials, seen).items():
            if column in row:
                differences.check(f"{where}: {column}", row[column], value)


def _table_cell(row):
    names = list(row)
    return {name: level(row[name]) for name in names[names.index("scale") + 1 : names.index("control")]}


def _table_row(trials, seen):
    test, metric, advantage = seen["test"], seen["metric"], seen["advantage"]
    treatment, control = seen["treatment"], seen["control"]
    unscaled = np.exp if metric["scale"] == "log" else float
    again = {"n": seen["n"], "better": metric["direction"] or "neither", "scale": metric["scale"]}
    for side in ("treatment",) if test["one_arm"] else ("control", "treatment"):
        own = trials.of_arm(test["factor"], test[side], seen["cell"])
        values = formulas.finite([value for _, value, _ in trials.values(own, test["metric"])])
        again[f"{side}_mean"] = float(unscaled(values.mean())) if len(values) else math.nan
        again[f"{side}_diverged"] = sum(row["status"] == "diverged" for row in own)
        again[f"{side}_collapsed"] = test[side] in seen["collapsed"]
    if test["one_arm"]:
        _, low, high = formulas.t_interval(treatment)
        return again | {"low": float(unscaled(low)), "high": float(unscaled(high))}
    sizes = dict(zip(("effect", "low", "high"), interval(seen), strict=True))
    sizes |= dict(zip(("welch_low", "welch_high"), formulas.welch(treatment, control), strict=True))
    sized = not seen["collapsed"] and not seen["lost"]
    again |= {name: float(unscaled(value)) if sized else math.nan for name, value in sizes.items()}
    return again | {
        "effect_kind": "ratio" if metric["scale"] == "log" else "difference",
        "correlation": float(formulas.correlation(treatment, control)),
        "effect_size": float(formulas.hedges_g(advantage)) if sized else math.nan,
        "probability_greater": float(formulas.probability_greater(treatment, control)),
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[2] / "experiments"))
