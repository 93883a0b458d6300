"""Whether this machine has what a trial needs; a launcher may send the trial to another machine."""

import torch
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError


def check_machine(config: DictConfig) -> None:
    """Check devices and accounts.

    Raises:
        SkiplabError: names what is missing here.
    """
    if "offline" in config.logger:  # Weights & Biases
        from skiplab.training.wandb_settings import check_wandb

        check_wandb(config.logger.project, config.logger.offline)
    if config.trainer.accelerator != "gpu":
        return
    if not torch.cuda.is_available():
        raise SkiplabError(
            "trainer.accelerator=gpu needs a GPU that PyTorch can use, and this machine has none; choose trainer=cpu"
        )
    devices = OmegaConf.select(config, "trainer.devices", default=1)
    if torch.cuda.device_count() < devices:
        raise SkiplabError(
            f"trainer.devices={devices} needs {devices} GPUs, and PyTorch can use {torch.cuda.device_count()} here; "
            "choose fewer devices, or trainer.accelerator=cpu"
        )
