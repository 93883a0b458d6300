"""Values that are worked out once for each study."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from skiplab.analysis.study.study import Study

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")
_OfStudy = Callable[Concatenate[Study, _Arguments], _Value]


def cached_per_study(function: _OfStudy[_Arguments, _Value]) -> _OfStudy[_Arguments, _Value]:
    """Cache a function of a study and hashable arguments.

    The values live as long as the study, which a cache of functools would keep alive.
    """
    values: WeakKeyDictionary[Study, dict[tuple[object, ...], _Value]] = WeakKeyDictionary()

    @wraps(function)
    def cached(study: Study, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
        own = values.setdefault(study, {})
        arguments = (*args, *sorted(kwargs.items()))
        if arguments not in own:
            own[arguments] = function(study, *args, **kwargs)
        return own[arguments]

    return cached
