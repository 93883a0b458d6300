"""From published trials to conclusions, by docs/statistics.md alone; nothing of skiplab is imported."""

import csv
import itertools
import math
from collections import defaultdict

import formulas
import numpy as np

COLLAPSED_BELOW, SMALLEST_RATE = 0.05, 0.1
COLLAPSED = {"scale": "bounded", "kind": "event", "role": "outcome", "direction": "lower", "exposure": None}
OPPOSITE_DIRECTION = {"higher": "lower", "lower": "higher", "not_lower": "not_higher", "not_higher": "not_lower"}
LOST = ("diverged", "not finite", "not positive")
WEAKEST = (
    "contradicted",
    "no meaningful difference",
    "not run",
    "not applicable",
    "too few seeds",
    "inconclusive",
    "supported",
)
IN_HEADLINE = (
    "supported",
    "contradicted",
    "no meaningful difference",
    "inconclusive",
    "not applicable",
    "too few seeds",
    "not run",
)
DECIDED = WEAKEST[:2] + WEAKEST[-1:]
OPPOSITE = {"supported": "contradicted", "contradicted": "supported"}


def level(value):
    """A level as text: 8, 0.001, identity, null."""
    if value is None or value == "":
        return "null"
    text = str(value)
    if text in ("True", "False"):
        return text.lower()
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text


def number(text):
    return float(text) if text else math.nan


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Trials:
    """The published trials of a profile, with the declarations of their metrics."""

    def __init__(self, rows, metrics):
        self.rows = rows
        self.skill = next((name for name in ("skill_train", "skill_val") if name in metrics), None)
        self.metrics = ({"collapsed": COLLAPSED} if self.skill else {}) | metrics
        names = list(rows[0])
        self.factors = names[names.index("status") + 1 : names.index("seed")]
        self.seeds = sorted({int(float(row["seed"])) for row in rows})

    def lowest_seeds(self, num):
        kept = self.seeds[:num]
        return Trials([row for row in self.rows if int(float(row["seed"])) in kept], self.metrics)

    def arm(self, row, factor):
        """The factor's level with those of its own settings; the claims' word for a factor that doesn't vary."""
        own = [name for name in self.factors if name.startswith(f"{factor}.") and row[name]]
        return ", ".join([level(row[factor]), *(f"{name.split('.', 1)[1]} {level(row[name])}" for name in own)])

    def value(self, row, name):
        """A metric on its scale, with the state that explains it."""
        metric, raw, status = self.metrics[name], number(row.get(name, "")), row["status"]
        reached, state = number(row.get(metric["reached"] or "", "")), "measured"
        if status == "diverged":
            state = "diverged"
            if metric["if_diverged"] != "measured":
                raw = math.nan if metric["if_diverged"] is None else float(metric["if_diverged"])
            elif reached == 0:
                state = "not reached"
        elif status != "done":
            return math.nan, status
        elif not math.isfinite(raw):
            return math.nan, "not finite"  # a metric that was measured in some trials of the arm, see `values`
        elif reached == 0:
            state = "not reached"
        elif metric["floor"] is not None and raw <= metric["floor"]:
            raw, state = metric["floor"], "censored"
        if metric["scale"] == "log":
            return (math.nan, "not positive") if raw <= 0 else (math.log(raw), state)
        return raw, state

    def values(self, rows, name):
        """(row, value, state) of each trial; an arm in which no trial has the metric was not measured."""
        if self.metrics[name] is COLLAPSED:
            return [
                (row, v if math.isnan(v) else float(v < COLLAPSED_BELOW), s)
                for row, v, s in self.values(rows, self.skill)
            ]
        found = [(row, *self.value(row, name)) for row in rows]
        if all(state == "not finite" for _, _, state in found):
            return [(row, value, "without a value") for row, value, _ in found]
        return found

    def inside(self, cell):
        return [row for row in self.rows if all(level(row[name]) == cell[name] for name in cell if name in row)]

    def of_arm(self, factor, arm, cell):
        return [row for row in self.inside(cell) if self.arm(row, factor) == arm]

    def cells(self, factor, within=(), wanted=None):
        wanted = {name: [level(each) for each in levels] for name, levels in (wanted or {}).items()}
        wanted = {name: levels for name, levels in wanted.items() if name not in within}
        skipped = (factor, *within, *wanted)
        others = [name for name in self.factors if name not in skipped and not name.startswith(f"{factor}.")]
        found = dict.fromkeys(tuple(level(row[name]) for name in others) for row in self.rows)
        products = itertools.product(*wanted.values())
        return [
            dict(zip([*wanted, *others], [*one, *two], strict=True)) for one, two in itertools.product(products, found)
        ]

    def collapsed(self, factor, arms, cell):
        """The arms, each with the level of what varies within the cell, whose mean skill is below the bound.

        And whether an arm has collapsed there in some seeds and not in others.
        """
        if self.skill is None:
            return set(), False
        others = [name for name in self.factors if name not in (factor, *cell) and "." not in name]
        groups = defaultdict(list)
        for row, value, _ in self.values(self.inside(cell), self.skill):
            arm = self.arm(row, factor)
            if arm in arms and not np.isnan(value):
                groups[" ".join([arm, *(f"at {name} {level(row[name])}" for name in others)])].append(value)
        shares = [np.mean(np.array(skills) < COLLAPSED_BELOW) for skills in groups.values()]
        return (
            {name for name, skills in groups.items() if np.mean(skills) < COLLAPSED_BELOW},
            any(0 < share < 1 for share in shares),
        )


def read_tests(claims):
    """[(claim, parts, evidence)]: each test with its arms, contrast and all that it inherits."""

    def test(entry, *above):
        arms = {key: next(each[key] for each in (entry, *above, claims) if each.get(key)) for key in ARMS}
        kind = entry["contrast"]
        one_arm = kind in ("slope", "rate")
        if one_arm and entry.get("arm") is not None:
            arms["treatment"] = entry["arm"]
        return {
            "says": "",
            **entry,
            **{key: level(arm) for key, arm in arms.items()},
            "factor": claims["factor"],
            "over": None if kind == "difference" else entry.get("over"),
            "mean_over": entry.get("mean_over") or [],
            "one_arm": one_arm,
            "sign": -1.0 if entry["direction"] in ("lower", "not_higher") else 1.0,
            "margin": float(entry.get("smallest_effect") or 0.0),
        }

    found = []
    for claim in claims["claims"]:
        parts = [test(each, claim) for each in claim.get("parts") or [{**claim, "says": claim["text"]}]]
        inherited = {key: claim[key] for key in ("contrast", "over", "arm") if key in claim}
        evidence = []
        for item in claim.get("evidence") or []:
            own = inherited | item
            if own["contrast"] not in ("slope", "rate"):
                own.pop("arm", None)
            evidence.append(test(own, claim))
        found.append((claim, parts, evidence))
    return found


ARMS = ("control", "treatment")


def contrast(trials, test, cell):
    """What a test sees in a cell; where some seeds of an arm collapsed and others didn't, their rate of collapse.

    That goes for outcomes that count a network of no use with a value, where seeds contradict one another, and not for
    a claim of a certain value.
    """
    seen = metric_contrast(trials, test, cell)
    metric = seen["metric"]
    counts_collapse = (
        metric["role"] == "outcome" and metric["kind"] == "continuous" and metric.get("direction") == "higher"
    )
    counts_collapse = counts_collapse and isinstance(metric["if_diverged"], (int, float))
    if seen["missing"] or not seen["partial"] or not counts_collapse or test["direction"] == "equal" or agree(seen):
        return seen
    smallest = test.get("smallest_effect") and SMALLEST_RATE / units(test["contrast"], seen["levels"])
    of_rate = {"metric": "collapsed", "direction": OPPOSITE_DIRECTION[test["direction"]], "sign": -test["sign"]}
    of_rate |= {"instead_of": test["metric"], "smallest_effect": smallest, "margin": float(smallest or 0.0)}
    return metric_contrast(trials, test | of_rate, cell)


def units(kind, levels):
    """Over how many units of a contrast its levels go."""
    if kind == "rate":
        return levels[-1] - levels[0]
    return math.log2(levels[-1] / levels[0]) if kind in ("slope", "interaction") else 1


def agree(seen):
    """Whether each seed alone lies above, below, or within what counts; a claim that nothing falls knows two sides."""
    margin, one_side = seen["test"]["margin"], seen["test"]["direction"].startswith("not_")
    values = formulas.finite(seen["advantage"])
    return len({(value > -margin, value > margin and not one_side) for value in values}) <= 1


def metric_contrast(trials, test, cell):
    """Each seed's advantage, both arms, and what limits them."""
    factor, name, kind, over = test["factor"], test["metric"], test["contrast"], test["over"]
    arms = [test["treatment"]] if test["one_arm"] else [test["control"], test["treatment"]]
    seen = {"test": test, "cell": cell, "n": 0, "missing": True, "events": None, "lost": False, "bounds": set()}
    collapsed, partial = trials.collapsed(factor, arms, cell)
    seen |= {"advantage": [], "control": [], "treatment": [], "collapsed": collapsed, "partial": partial}
    if name not in trials.metrics:
        return seen | {"metric": {"scale": "linear", "kind": "continuous", "role": "outcome"}}
    seen["metric"] = metric = trials.metrics[name]
    by_arm = {arm: trials.values(trials.of_arm(factor, arm, cell), name) for arm in arms}
    if not all(by_arm.values()):
        return seen
    levels = []
    if kind != "difference":
        shared = set.intersection(*({number(row[over]) for row, _, _ in each} for each in by_arm.values()))
        every = [number(row[over]) for row in trials.rows]
        wanted = {min(every), max(every)} if kind == "change" else {each for each in shared if each > 0}
        levels = sorted(shared & wanted)
        if len(levels) < 2:
            return seen
        by_arm = {arm: [each for each in rows if number(each[0][over]) in levels] for arm, rows in by_arm.items()}
    seen |= {"missing": False, "levels": levels}
    seen["lost"] = any(math.isnan(v) and state in LOST for rows in by_arm.values() for _, v, state in rows)
    for arm, rows in by_arm.items():
        for at, weight in weights(kind, levels):
            sign = test["sign"] * weight * (-1 if arm == test["control"] and not test["one_arm"] else 1)
            states = {state for row, _, state in rows if at is None or number(row[over]) == at}
            seen["bounds"] |= {sign > 0} if "not reached" in states else set()
            seen["bounds"] |= {sign < 0} if "censored" in states else set()
    names = [name for name in test.get("mean_over", []) if name in trials.factors]
    needed = {tuple(row[each] for each in names) for rows in by_arm.values() for row, _, _ in rows}
    seeds = {arm: per_seed(rows, kind, over, levels, len(needed)) for arm, rows in by_arm.items()}
    treatment = seeds[test["treatment"]]
    expected = float(test.get("expected") or 0.0)
    control = {seed: value * 0 + expected for seed, value in treatment.items()}
    control = control if test["one_arm"] else seeds[test["control"]]
    for seed in sorted(treatment.keys() | control.keys()):
        seen["treatment"].append(treatment.get(seed, math.nan))
        seen["control"].append(control.get(seed, math.nan))
    seen["advantage"] = test["sign"] * (np.array(seen["treatment"]) - np.array(seen["control"]))
    seen["n"] = int(np.isfinite(seen["advantage"]).sum())
    if metric["kind"] != "continuous":
        terms = []
        for arm in arms:
            sign = -test["sign"] if arm == test["control"] and not test["one_arm"] else test["sign"]
            for at, weight in weights(kind, levels):
                own = [row for row in by_arm[arm] if at is None or number(row[0][over]) == at]
                terms.append((events(trials, own, metric, len(needed)), sign * weight))
        if all(counted is not None and counted[1] > 0 for counted, _ in terms):
            seen["events"] = [(*counted, weight) for counted, weight in terms]
    return seen


def weights(kind, levels):
    """(level, weight) of what a contrast sums for each arm."""
    if kind == "difference":
        return [(None, 1.0)]
    if kind == "change":
        return [(levels[0], -1.0), (levels[-1], 1.0)]
    x = np.array(levels) if kind == "rate" else np.log2(levels)
    return list(zip(levels, (x - x.mean()) / ((x - x.mean()) ** 2).sum(), strict=True))


def per_seed(rows, kind, over, levels, num=1):
    """A number for each seed: the value, the change between two levels, or the least-squares slope.

    num: of how many trials a value is the mean; one with fewer is missing.
    """
    found = defaultdict(lambda: defaultdict(list))
    for row, value, _ in rows:
        found[int(float(row["seed"]))][number(row[over]) if over else None].append(value)
    table = {
        seed: {at: float(np.mean(values)) if len(values) == num else math.nan for at, values in own.items()}
        for seed, own in found.items()
    }
    if kind == "difference":
        return {seed: own[None] for seed, own in table.items()}
    x = np.array(levels) if kind in ("rate", "change") else np.log2(levels)
    found = {}
    for seed, own in table.items():
        y = np.array([own.get(each, math.nan) for each in levels])
        y = y - y[0]
        found[seed] = y[-1] if kind == "change" else ((x - x.mean()) * y).sum() / ((x - x.mean()) ** 2).sum()
    return found


def events(trials, rows, metric, num):
    """How many events an arm had, in how many trials or units of exposure; None without a known exposure.

    num: of how many trials of a seed the mean counts as one.
    """
    values = [(row, value) for row, value, _ in rows if not np.isnan(value)]
    if metric["kind"] == "event":
        by_seed = defaultdict(list)
        for row, value in values:
            by_seed[row["seed"]].append(value)
        means = [float(np.mean(own)) for own in by_seed.values() if len(own) == num]
        return sum(means), len(means)
    if metric["exposure"] not in trials.metrics:
        return None
    units = [(value, trials.value(row, metric["exposure"])[0]) for row, value in values]
    units = [(value, unit) for value, unit in units if not math.isnan(unit)]
    return round(sum(value * unit for value, unit in units), 6) / num, sum(unit for _, unit in units) / num


def shift(seen):
    """What is expected of one arm, which its advantage is measured from."""
    return float(seen["test"].get("expected") or 0.0) if seen["test"]["one_arm"] else 0.0


def interval(seen):
    """Mean, low and high of the advantage."""
    if seen["events"] and seen["n"]:
        rates = formulas.weighted_rates(seen["metric"]["kind"], seen["events"], formulas.ALPHA)
        return tuple(value - shift(seen) for value in rates)
    mean, low, high = formulas.t_interval(seen["advantage"])
    if seen["n"] > 1 and formulas.equal(formulas.finite(seen["advantage"])):
        return mean, math.nan, math.nan
    if seen["metric"]["scale"] == "bounded" and seen["test"]["contrast"] == "difference":
        return mean, np.maximum(-1.0, low), np.minimum(1.0, high)  # nan stays nan
    return mean, low, high


def p_above(seen, bound, sign=1):
    """One-sided p of a sign x advantage of at most the bound."""
    values = sign * np.asarray(seen["advantage"])
    if not seen["events"]:
        return formulas.p_mean_above(values, bound)
    p = formulas.permutation_p(values, bound)
    terms = [(num, exposure, sign * weight) for num, exposure, weight in seen["events"]]
    rate_p = formulas.p_rate_above(seen["metric"]["kind"], terms, bound + sign * shift(seen))
    return 1.0 if math.isnan(p) else max(p, rate_p)


def open_sides(seen):
    """Whether the true advantage may be smaller, and greater, than the bounds show."""
    if seen["test"]["direction"] == "equal" and seen["bounds"]:
        return True, True
    return False in seen["bounds"], True in seen["bounds"]


def not_applicable(seen):
    return seen["metric"]["role"] == "mechanism" and bool(seen["collapsed"])


def bound_to_exceed(test):
    return -test["margin"] if test["direction"].startswith("not_") else test["margin"]


def both_p(seen):
    """The p of a claim that doesn't hold, and of one that isn't wrong; before any adjustment."""
    test, (smaller, greater) = seen["test"], open_sides(seen)
    margin = test["margin"]
    if seen["missing"] or seen["lost"] or not_applicable(seen) or seen["n"] < 2:
        return 1.0, 1.0
    above, below = p_above(seen, -margin), p_above(seen, -margin, -1)  # advantage > -margin, advantage < margin
    if test["direction"] == "equal":
        outside = min(1.0, 2 * p_above(seen, margin), 2 * p_above(seen, margin, -1))
        return 1.0 if smaller else max(above, below), 1.0 if greater else outside
    return 1.0 if smaller else p_above(seen, bound_to_exceed(test)), 1.0 if greater else p_above(seen, margin, -1)


def conclude(seen, p, alpha, fewest):
    if seen["missing"]:
        return "not run"
    if not_applicable(seen):
        return "not applicable"
    if seen["lost"]:
        return "inconclusive"
    if seen["n"] < fewest:
        return "too few seeds"
    if min(p) <= alpha:
        return "supported" if p[0] <= alpha else "contradicted"
    if seen["test"]["direction"] in ("higher", "lower") and not any(open_sides(seen)):
        margin = seen["test"]["margin"]
        if max(p_above(seen, -margin), p_above(seen, -margin, -1)) < 2 * alpha:
            return "no meaningful difference"
    return "inconclusive"


def in_cells(trials, tests, which):
    """{(claim, number, cell): (test, cell)} of the parts, 0, or of the evidence, 1."""
    return {
        (claim["name"], index, cell_text(cell)): (test, cell)
        for claim, *both in tests
        for index, test in enumerate(both[which])
        for cell in trials.cells(test["factor"], (test["over"], *test["mean_over"]), claim.get("cells"))
    }


def judge_together(found, sides, alpha=formulas.ALPHA, fewest=3):
    """Adds the conclusion to what is seen; sides: the p of each test of the file on either side."""
    adjusted = [dict(zip(side, formulas.holm(list(side.values())), strict=True)) for side in sides]
    for key, seen in found.items():
        p = [side[key] for side in adjusted]
        seen |= {"p": p, "alpha": alpha, "num": len(sides[0]), "conclusion": conclude(seen, p, alpha, fewest)}
    return found


def judge_once(trials, tests, which):
    found = {key: contrast(trials, *each) for key, each in in_cells(trials, tests, which).items()}
    return judge_together(found, [{key: p_at(each, 3)[side] for key, each in found.items()} for side in (0, 1)])


def p_at(seen, fewest):
    """Both p, 1 of what has too few seeds."""
    return both_p(seen) if seen["n"] >= fewest else (1.0, 1.0)


def judge(trials, tests, looks):
    """Parts and evidence; with looks, what an earlier look decided stands, and each test climbs for itself."""
    if not looks:
        return judge_once(trials, tests, 0), judge_once(trials, tests, 1)
    every, parts = in_cells(trials, tests, 0), {}
    for look, alpha in formulas.alpha_of_looks(looks).items():
        seen = trials.lowest_seeds(look)
        now = {
            key: contrast(seen, *each) for key, each in every.items() if not parts or climbs(trials, parts[key], look)
        }
        sides, found = [], {key: p_at(each, look) for key, each in now.items()}
        for side, word in enumerate(("supported", "contradicted")):
            rejected = {key for key, each in parts.items() if each["conclusion"] == word}
            sides.append({key: found[key][side] if key in now else float(key not in rejected) for key in every})
        parts |= judge_together(now, sides, alpha, look)
        for key in now:
            parts[key]["look"] = look
    return parts, judge_once(trials.lowest_seeds(max(each["look"] for each in parts.values())), tests, 1)


def climbs(trials, seen, look):
    """Whether a test is open and all of its trials with the lowest seeds have ended."""
    test, cell = seen["test"], seen["cell"]
    arms = [test["treatment"]] if test["one_arm"] else [test["control"], test["treatment"]]
    if seen["conclusion"] in DECIDED or look > len(trials.seeds):
        return False
    ended = defaultdict(set)
    for row in (row for arm in arms for row in trials.of_arm(test["factor"], arm, cell)):
        levels = tuple(row[name] for name in trials.factors)
        ended[levels] |= {int(float(row["seed"]))} if row["status"] in ("done", "diverged") else set()
    return bool(ended) and all(set(trials.seeds[:look]) <= seeds for seeds in ended.values())


def contrast_name(test):
    return test["contrast"] + (f", mean over {', '.join(test['mean_over'])}" if test["mean_over"] else "")


def cell_text(cell):
    return ", ".join(f"{name} {each}" for name, each in cell.items()) or "all trials"
