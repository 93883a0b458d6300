"""Names of columns as factors and metrics of a study; columns may have any name."""

from collections.abc import Iterable, Sequence

# What the trials of a study, and tables of them, call columns of their own.
_OF_TRIALS = (
    *("key", "seed", "status", "step", "diverged_step", "error", "wall_seconds"),
    *("num_parameters", "flops_per_sample", "activation_bytes_per_sample", "num_layers", "num_joins"),
)
_OF_TABLES = (
    *("value", "state", "metric", "label", "better", "scale", "control", "treatment", "n", "paired", "effect", "low"),
    *("high", "welch_low", "welch_high", "notes", "effect_kind", "correlation", "effect_size", "probability_greater"),
    *("control_mean", "treatment_mean", "control_diverged", "treatment_diverged", "control_collapsed"),
    *("treatment_collapsed", "diverged", "collapsed", "loss_zero", "loss_affine", "skill", "place", "other"),
)


def factor_names(columns: Sequence[str]) -> dict[str, str]:
    """The name of each factor, of which the first is the arms: its column's, unless tables use that themselves.

    A dot would make a factor a setting of the option before it.
    """
    arm, *others = (name.replace(".", "_") for name in columns)
    taken = [*_OF_TRIALS, *_OF_TABLES]
    names = _free([arm], taken)
    return dict(zip(columns, [*names, *_free(others, [*taken, "arm", *names])], strict=True))


def metric_names(columns: Sequence[str], factors: Iterable[str]) -> dict[str, str]:
    """The name of each metric: its column's, unless a factor or the trials have that."""
    return dict(zip(columns, _free(columns, [*_OF_TRIALS, "arm", *factors]), strict=True))


def _free(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        while name in (*taken, *found):
            name += "_"
        found.append(name)
    return found
