"""The parity report: what each arm costs, and where arms differ in more than the factor under test."""

import pandas as pd

from skiplab.analysis.study.arms import cell_factors, cells, chosen_factor, in_cell, with_arms
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
    """The costs of each arm in each cell, a row each."""
    factor = chosen_factor(study, factor)
    trials = with_arms(study, factor)
    rows = []
    for cell in cells(study, factor):
        present = in_cell(study, trials, cell)
        for arm, own in present.groupby("arm", observed=True):
            rows.append({**cell, "arm": arm, **own[list(COSTS)].mean().to_dict()})
    return pd.DataFrame(rows, columns=[*cell_factors(study, factor), "arm", *COSTS])


def unequal_arms(study: Study, control: str, factor: str | None = None) -> list[str]:
    """Sentences that name the arms which differ from the control in more than the factor under test."""
    factor, found = chosen_factor(study, factor), []
    table, names = parity_table(study, factor), cell_factors(study, factor)
    for _, rows in table.groupby(names, observed=True, dropna=False) if names else [((), table)]:
        costs = rows.set_index("arm")
        if control not in costs.index:
            continue
        for arm in costs.index.drop(control):
            found += [
                f"{cell_text(rows.iloc[0][names].to_dict())}: {arm} has {ratio:.4g} times the {words} of {control}"
                for name, words in COSTS.items()
                if (ratio := costs.at[arm, name] / costs.at[control, name]) != 1 and pd.notna(ratio)
            ]
    return found + _unequal_settings(study, control, factor)


def _unequal_settings(study: Study, control: str, factor: str) -> list[str]:
    trials, found = with_arms(study, factor), []
    for name in cell_factors(study, factor):
        levels = trials[name].astype(object).map(level_text).groupby(trials["arm"], observed=True).agg(set)
        for arm, own in levels.drop(control, errors="ignore").items():
            if control in levels.index and own != levels[control]:
                both = f"{', '.join(sorted(own))} against {', '.join(sorted(levels[control]))}"
                found.append(f"{arm} was run at other levels of {name} than {control}: {both}")
    return found
