"""How a command ends on a mistake or a signal: with one message."""

import difflib
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from skiplab.atomic_file import UNWRITABLE
from skiplab.errors import Interrupted, SkiplabError
from skiplab.paths import project_dir


def explain(run: Callable[[], None]) -> None:
    """Show a mistake or a signal as one message; exit with 1, or for a signal with 128 + its number."""
    try:
        run()
        sys.stdout.flush()
    except SkiplabError as error:
        stop(error)
    except Interrupted as signalled:
        print(f"skiplab: stopped by {signalled}; the same command goes on from here", file=sys.stderr)
        raise SystemExit(128 + signalled.signum) from None
    except KeyboardInterrupt:  # where nothing is at work that could be lost
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _print_no_more()
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:  # a stream has no name
            raise
        _print_no_more()
        stop(SkiplabError(f"can't print: {error.strerror}; free space where the output goes, or send it elsewhere"))


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop(error: SkiplabError) -> NoReturn:
    """Print the message and exit with 1."""
    print(f"skiplab: {error}", file=sys.stderr)
    raise SystemExit(1) from None


def explain_hydra(error: Exception) -> str:
    """Hydra's message, with the valid names where one is unknown and the closest of them."""
    cause = error.__cause__
    if isinstance(cause, SkiplabError):
        return str(cause)
    message = str(error).split("\nConfig search path")[0]
    lines = [line for line in message.splitlines() if line.strip()]
    parent, key = getattr(cause, "parent_node", None), getattr(cause, "key", None)
    if parent is not None and key is not None:
        names = sorted(map(str, parent.keys()))
        lines += [f"valid: {', '.join(names)}"] if names else []
    elif listed := re.search(r"Could not load '([^'/]+)/([^']+)'", message):  # one of a list of options
        axis, key = listed.groups()
        names = sorted(path.stem for path in (project_dir("conf") / axis).glob("*.yaml"))
        lines.append(f"valid: {', '.join(names)}")
    else:
        missing = re.search(r"Could not find '[^']*?([^'/]+)'", message)
        key, names = missing and missing.group(1), [line.strip() for line in lines if line.startswith("\t")]
    close = difflib.get_close_matches(str(key), names, n=1)
    if close:
        lines.append(f"did you mean {close[0]!r}?")
    return "\n".join(lines)
