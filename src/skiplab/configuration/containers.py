"""The configuration of a trial within what Hydra composed."""

from omegaconf import DictConfig, OmegaConf


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy of what Hydra composed without its own node; an unknown key stays an error."""
    own = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    OmegaConf.set_struct(own, True)
    return own
