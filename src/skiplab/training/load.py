"""From a record on disk back to the objects of its trial."""

from pathlib import Path

from omegaconf import DictConfig

from skiplab.errors import SkiplabError
from skiplab.records.file_names import CONFIG, RECORD, WEIGHTS
from skiplab.records.local_paths import find_again
from skiplab.records.record import read_record
from skiplab.records.record_schema import RecordContent
from skiplab.training.build import Parts, build_data, build_model, build_objective
from skiplab.training.trust import record_config
from skiplab.training.weights import load_weights


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
    for name in (CONFIG, RECORD, WEIGHTS):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    content = read_record(folder)
    config = record_config(folder, trust=trust)
    find_again(config, content["factors"], {} if data_path is None else {"data.path": str(data_path)}, folder)
    return bring_back(config, content, folder)


def bring_back(config: DictConfig, content: RecordContent, folder: Path) -> Parts:
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
        raise SkiplabError(f"{folder / CONFIG} describes nothing that can be made: {reason}") from error
    load_weights(model, folder / WEIGHTS, content)
    return Parts(data=data, objective=objective, model=model.eval(), costs=content["parity"])
