"""From a record on disk back to the objects of its trial."""

import json
from pathlib import Path

from omegaconf import OmegaConf

from skiplab.errors import SkiplabError
from skiplab.training.build import Parts, build_data, build_model, build_objective
from skiplab.training.weights import read_weights


def load(folder: str | Path) -> Parts:
    """The data, the objective and the trained model of a record, such as `runs/0123456789abcdef`.

    Raises:
        SkiplabError: where the folder holds no record with weights, or the weights can't be used.
    """
    folder = Path(folder)
    for name in ("config.yaml", "record.json", "weights.safetensors"):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    config = OmegaConf.load(folder / "config.yaml")
    data = build_data(config)
    objective = build_objective(config, data)
    model = build_model(config, data, objective)
    content = json.loads((folder / "record.json").read_text())
    model.load_state_dict(read_weights(folder / "weights.safetensors", content))
    return Parts(data=data, objective=objective, model=model.eval(), costs=content["parity"])
