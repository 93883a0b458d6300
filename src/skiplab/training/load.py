"""From a record on disk back to the objects of its trial."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import parse_json, read_own
from skiplab.records.local_paths import find_again
from skiplab.training.build import Parts, build_data, build_model, build_objective
from skiplab.training.trust import record_config
from skiplab.training.weights import load_weights

_MAPPINGS = (
    "choices", "factors", "summary", "metrics", "charts", "details", "parity", "instruments", "evaluators", "provenance"
)  # fmt: skip


def load(folder: str | Path, *, data_path: str | Path | None = None, trust: bool = False) -> Parts:
    """The data, the objective and the trained model of a record, such as `runs/0123456789abcdef`.

    Args:
        folder: the record.
        data_path: where the files of its data lie now; None for where they were.
        trust: whether what is no option of skiplab may be imported and made, too, such as a network of one's own.

    Raises:
        SkiplabError: where the folder holds no record with weights, asks for code that isn't trusted, or the files of
            its data are missing or others.
    """
    folder = Path(folder)
    for name in ("config.yaml", "record.json", "weights.safetensors"):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    content = read_content(folder)
    config = record_config(folder, trust=trust)
    find_again(config, content["factors"], {} if data_path is None else {"data.path": str(data_path)}, folder)
    return bring_back(config, content, folder)


def read_content(folder: Path) -> dict[str, Any]:
    """A record's record.json, with all of its parts.

    Raises:
        SkiplabError: where it isn't one.
    """
    try:
        content = parse_json(read_own(folder / "record.json"))
    except (OSError, ValueError) as error:
        raise SkiplabError(
            f"{folder / 'record.json'} can't be read: {error}; take another copy of the record"
        ) from None
    content = content if isinstance(content, dict) else {}
    if lacking := [name for name in _MAPPINGS if not isinstance(content.get(name), dict)]:
        raise SkiplabError(f"{folder / 'record.json'} lacks {', '.join(lacking)}; take another copy of the record")
    return content


def bring_back(config: DictConfig, content: dict[str, Any], folder: Path) -> Parts:
    """What a record's configuration describes, with its weights.

    Raises:
        SkiplabError: where it describes nothing that can be made, or the weights aren't its network's.
    """
    try:
        data = build_data(config)
        objective = build_objective(config, data)
        model = build_model(config, data, objective)
    except SkiplabError:
        raise
    except Exception as error:  # of whatever kind: the values may be anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(f"{folder / 'config.yaml'} describes nothing that can be made: {reason}") from error
    load_weights(model, folder / "weights.safetensors", content)
    return Parts(data=data, objective=objective, model=model.eval(), costs=content["parity"])
