import gc
import weakref

import pandas as pd

from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.study import read_study


def test_a_value_is_worked_out_once_for_each_study_and_argument(fill) -> None:
    runs = fill(effect=0.1, num_seeds=1)
    calls = []

    @cached_per_study
    def rows(study, factor, *, times=1):
        calls.append((factor, times))
        return len(study.trials) * times

    study, other = read_study("s", runs.folder), read_study("s", runs.folder)
    assert [rows(study, "a"), rows(study, "a"), rows(study, "b"), rows(study, "a", times=2)] == [12, 12, 12, 24]
    assert calls == [("a", 1), ("b", 1), ("a", 2)]
    rows(other, "a")
    assert calls[3:] == [("a", 1)]  # its trials may be others


def test_values_go_with_their_study(fill) -> None:
    runs = fill(effect=0.1, num_seeds=1)

    @cached_per_study
    def frame(study):
        return pd.DataFrame({"key": study.trials["key"]})

    study = read_study("s", runs.folder)
    value = weakref.ref(frame(study))
    assert value() is not None
    del study
    gc.collect()
    assert value() is None
