"""From a record on disk back to the objects of its trial."""

import json
from pathlib import Path

from omegaconf import OmegaConf
from safetensors.torch import load_file

from skiplab.errors import SkiplabError
from skiplab.training.build import Parts, build_data, build_model, build_objective


def load(folder: str | Path) -> Parts:
    """The data, the objective and the trained model of a record, such as `runs/0123456789abcdef`.

    Raises:
        SkiplabError: where the folder holds no record with weights.
    """
    folder = Path(folder)
    for name in ("config.yaml", "record.json", "weights.safetensors"):
        if not (folder / name).exists():
            raise SkiplabError(f"{folder} has no {name}; give the folder of a finished trial, runs/KEY")
    config = OmegaConf.load(folder / "config.yaml")
    data = build_data(config)
    objective = build_objective(config, data)
    model = build_model(config, data, objective)
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    costs = json.loads((folder / "record.json").read_text(encoding="utf-8"))["parity"]
    return Parts(data=data, objective=objective, model=model.eval(), costs=costs)
