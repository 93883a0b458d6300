"""From a record on disk back to the objects of its trial."""

import json
from pathlib import Path

from omegaconf import OmegaConf

from skiplab.errors import SkiplabError
from skiplab.training.build import Parts, build_data, build_model, build_objective
from skiplab.training.local_paths import find_again
from skiplab.training.weights import read_weights


def load(folder: str | Path, *, data_path: str | Path | None = None) -> Parts:
    """The data, the objective and the trained model of a record, such as `runs/0123456789abcdef`.

    Args:
        folder: the record.
        data_path: where the files of its data lie now; None for where they were.

    Raises:
        SkiplabError: where the folder holds no record with weights, the weights can't be used, or the files of its
            data are missing or others.
    """
    folder = Path(folder)
    for name in ("config.yaml", "record.json", "weights.safetensors"):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    config = OmegaConf.load(folder / "config.yaml")
    content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    find_again(config, content["factors"], {} if data_path is None else {"data.path": str(data_path)}, folder)
    data = build_data(config)
    objective = build_objective(config, data)
    model = build_model(config, data, objective)
    model.load_state_dict(read_weights(folder / "weights.safetensors", content))
    return Parts(data=data, objective=objective, model=model.eval(), costs=content["parity"])
