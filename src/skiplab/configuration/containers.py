"""The configuration of a trial within what Hydra composed."""

from omegaconf import DictConfig, OmegaConf, open_dict


def pop_hydra(config: DictConfig) -> None:
    """Remove Hydra's own node from what it composed; an unknown key stays an error."""
    with open_dict(config):
        del config["hydra"]
    OmegaConf.set_struct(config, True)
