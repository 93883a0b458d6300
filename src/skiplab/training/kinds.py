"""What an option of each axis must be, looked at before it is made."""

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from skiplab.backbones.backbone import Backbone
from skiplab.blocks.branch import Branch
from skiplab.blocks.connection import Connection
from skiplab.blocks.init import Init
from skiplab.blocks.long_skip import LongSkip
from skiplab.blocks.shortcut import Shortcut
from skiplab.data.augmentation import Augmentation
from skiplab.data.dataset import Dataset
from skiplab.evaluators.evaluator import Evaluator
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.instruments.instrument import Instrument
from skiplab.objectives.conditioning import Conditioning
from skiplab.objectives.loss_weighting import LossWeighting
from skiplab.objectives.noise_schedule import NoiseSchedule
from skiplab.objectives.objective import Objective
from skiplab.objectives.prediction import Prediction
from skiplab.samplers.sampler import Sampler

KINDS: dict[str, type] = {
    "connection": Connection,
    "branch": Branch,
    "backbone": Backbone,
    "shortcut": Shortcut,
    "long_skip": LongSkip,
    "norm": Module,
    "activation": Module,
    "init": Init,
    "objective": Objective,
    "prediction": Prediction,
    "loss_weighting": LossWeighting,
    "noise_schedule": NoiseSchedule,
    "conditioning": Conditioning,
    "sampler": Sampler,
    "data": Dataset,
    "augmentation": Augmentation,
    "optimizer": Optimizer,
    "scheduler": LRScheduler,
    "trainer": Trainer,
    "instrument": Instrument,
    "evaluator": Evaluator,
    "feature_extractor": FeatureExtractor,
    "logger": Logger,
}
