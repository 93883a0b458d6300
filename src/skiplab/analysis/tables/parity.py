"""The parity report: what each arm costs, and whether arms differ in anything but the factor under test."""

import math

import pandas as pd

from skiplab.analysis.frames import frame_rows
from skiplab.analysis.study.arms import MODULE, arm_names, cell_factors, cells, factor_under_test, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text

COSTS = {
    "num_parameters": "parameters",
    "flops_per_sample": "FLOPs a sample",
    "activation_bytes_per_sample": "activation bytes a sample",
    "num_layers": "layers",
    "num_joins": "joins",
}


def parity_table(study: Study, factor: str | None = None) -> pd.DataFrame:
    """The mean costs of the trials, a row for each arm in each cell."""
    factor = factor_under_test(study, factor)
    trials = with_arms(study, factor)
    rows = []
    for cell in cells(study, factor):
        present = in_cell(study, trials, cell)
        for arm, own in present.groupby("arm", observed=True):
            rows.append({**cell, "arm": arm, **own[list(COSTS)].mean().to_dict()})
    return pd.DataFrame(rows, columns=[*cell_factors(study, factor), "arm", *COSTS])


def unequal_arms(study: Study, control: str, factor: str | None = None) -> list[str]:
    """Sentences about arms that differ from the control in anything but the factor under test."""
    factor, found = factor_under_test(study, factor), []
    table, names = parity_table(study, factor), cell_factors(study, factor)
    for _, rows in table.groupby(names, observed=True, dropna=False) if names else [((), table)]:
        costs = rows.set_index("arm").loc[:, list(COSTS)]
        if control not in costs.index:
            continue
        cell = cell_text({name: rows[name].iloc[0] for name in names})
        ratios = (costs / costs.loc[control]).drop(control).reset_index()
        found += [
            f"{cell}: {row['arm']} has {row[name]:.4g} times the {label} of {control}"
            for row in frame_rows(ratios)
            for name, label in COSTS.items()
            if row[name] != 1 and not math.isnan(row[name])
        ]
    return found + _unequal_settings(study, control, factor) + _unequal_starts(study, control, factor)


def _unequal_starts(study: Study, control: str, factor: str) -> list[str]:
    """Sentences about trials of a LightningModule whose weights of one name and shape start different.

    Its own code draws them, so that arms of one seed start alike only where they draw the same numbers in one order.
    """
    if MODULE not in {*study.constants, *study.factors}:
        return []
    trials, names, found = with_arms(study, factor), [*cell_factors(study, factor), "seed"], []
    starts = {key: record["details"].get("initial_weights", {}) for key, record in study.records.items()}
    for arm in arm_names(study, factor):
        pairs = trials.loc[trials["arm"] == control].merge(trials.loc[trials["arm"] == arm], on=names)
        both = [(starts[mine], starts[other]) for mine, other in zip(pairs["key_x"], pairs["key_y"], strict=True)]
        shared = {
            name: [(mine[name], other[name]) for mine, other in both if name in mine and name in other]
            for name in dict.fromkeys(name for mine, _ in both for name in mine)
        }
        shared = {name: hashes for name, hashes in shared.items() if hashes}
        if other := [name for name, hashes in shared.items() if any(mine != own for mine, own in hashes)]:
            found.append(
                f"{arm} starts from other values than {control} in {len(other)} of the {len(shared)} weights that "
                f"both have, such as {other[0]}: a difference between them may come from the start"
            )
    return found


def _unequal_settings(study: Study, control: str, factor: str) -> list[str]:
    trials, found = with_arms(study, factor), []
    for name in cell_factors(study, factor):
        levels: dict[str, set[str]] = {}
        for arm, level in zip(trials["arm"], trials[name].astype(object), strict=True):
            levels.setdefault(arm, set()).add(level_text(level))
        for arm in arm_names(study, factor):
            if control in levels and arm in levels and levels[arm] != levels[control]:
                both = f"{', '.join(sorted(levels[arm]))} against {', '.join(sorted(levels[control]))}"
                found.append(f"{arm} was run at other levels of {name} than {control}: {both}")
    return found
