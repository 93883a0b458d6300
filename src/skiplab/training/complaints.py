"""All that is wrong with a configuration, told at once."""

from collections.abc import Callable
from typing import Any, TypeVar

from skiplab.errors import SkiplabError

T = TypeVar("T")


class Complaints:
    """What checks refuse, gathered until it is told; true where there is anything."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def of(self, check: Callable[..., T], *asked: Any, **settings: Any) -> T | None:
        """What a check gives; None where it refuses something, which is noted, once."""
        try:
            return check(*asked, **settings)
        except SkiplabError as error:
            self._found[str(error)] = None
            return None

    def on(self, check: Callable[..., T], *parts: Any) -> T | None:
        """The same of a check that rests on parts; None where one of them was refused itself, and is None."""
        return None if any(part is None for part in parts) else self.of(check, *parts)

    def tell(self) -> None:
        """Raise what was found, one a line where there are several.

        Raises:
            SkiplabError: where anything was.
        """
        if len(self._found) == 1:
            raise SkiplabError(*self._found)
        if self._found:
            raise SkiplabError("\n".join([f"{len(self._found)} settings can't stay as they are:", *self._found]))
