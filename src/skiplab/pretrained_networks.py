"""Networks that transformers or diffusers saved in a folder, ready to be measured."""

import inspect
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skiplab.errors import SkiplabError

CONFIG = "config.json"
_ROWS, _LENGTH = 2, 16
_BY_HAND = "write a function module:function that returns (model, example inputs, loss) instead"


class Pretrained(NamedTuple):
    """A trained network, the arguments of one forward pass, and what its shortcuts are measured by.

    loss: how far the outputs on the example inputs are from those of the untouched network: the root of the mean square
        of the difference, over that of the output; 0 if nothing is changed.
    """

    model: nn.Module
    example_inputs: dict[str, Tensor]
    loss: Callable[[nn.Module], Tensor]


def pretrained(folder: str | Path) -> Pretrained:
    """The network in a folder that `save_pretrained` of transformers or diffusers wrote; nothing is downloaded.

    Its example inputs are random tokens, images or noise of the sizes in its configuration, drawn from seed 0.

    Raises:
        SkiplabError: if the folder holds no such network, the library isn't installed, or the network reads something
            else.
    """
    path = Path(folder)
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SkiplabError(f"{path / CONFIG} can't be read: {error}; give a folder of save_pretrained") from error
    model = _loaded(path, config).eval()
    known = _sizes(model.config)
    wanted = _wanted(model, known)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise SkiplabError(f"{type(model).__name__} reads {missing[0]}, whose shape is not known here; {_BY_HAND}")
    generator = torch.Generator().manual_seed(0)
    inputs = {name: known[name](generator) for name in wanted}
    with torch.no_grad():
        untouched = _output(model(**inputs))

    def loss(model: nn.Module) -> Tensor:
        difference = _output(model(**inputs)) - untouched
        return (difference.square().mean() / untouched.square().mean()).sqrt()

    return Pretrained(model, inputs, loss)


def _loaded(path: Path, config: Mapping[str, Any]) -> Any:
    named = config.get("_class_name") or next(iter(config.get("architectures") or ()), "AutoModel")
    library = "diffusers" if "_class_name" in config else "transformers"
    try:
        maker = getattr(import_module(library), named)
        return maker.from_pretrained(str(path), local_files_only=True)
    except ImportError as error:
        raise SkiplabError(f"{path} needs {library}, which is not installed; pip install {library}") from error
    except Exception as error:  # of any type: the folder may hold anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SkiplabError(f"{named} of {library} can't be loaded from {path}: {reason}; {_BY_HAND}") from error


def _wanted(model: Any, known: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that a pass needs; a denoiser gets its time step too, and labels of its classes."""
    own = inspect.signature(model.forward).parameters
    main = getattr(model, "main_input_name", None)
    if main is None:  # of diffusers
        optional = [name for name in ("timestep", "class_labels") if name in known]
        return [name for name, each in own.items() if each.default is each.empty or name in optional]
    decodes = getattr(model.config, "is_encoder_decoder", False) and "decoder_input_ids" in own
    return [main, *(["decoder_input_ids"] if decodes else [])]


def _sizes(config: Any) -> dict[str, Callable[[torch.Generator], Tensor]]:
    """What draws an argument, by its name, as far as a configuration gives its size."""

    def size(*names: str) -> Any:
        return next((each for name in names if (each := getattr(config, name, None)) is not None), None)

    def noise(*shape: int) -> Callable[[torch.Generator], Tensor]:
        return lambda generator: torch.randn(_ROWS, *shape, generator=generator)

    def whole(most: int, *shape: int) -> Callable[[torch.Generator], Tensor]:
        return lambda generator: torch.randint(most, (_ROWS, *shape), generator=generator)

    found: dict[str, Callable[[torch.Generator], Tensor]] = {"timestep": whole(1000)}
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    if words := getattr(text, "vocab_size", None):
        found["input_ids"] = found["decoder_input_ids"] = whole(words, _LENGTH)
    if (edge := size("image_size", "sample_size")) is not None:
        channels = size("num_channels", "in_channels")
        image = noise(channels or 3, *((edge, edge) if isinstance(edge, int) else edge))
        found |= {"pixel_values": image, "sample": image, "hidden_states": image}
    if (told := size("joint_attention_dim", "caption_channels", "cross_attention_dim")) is not None:
        found["encoder_hidden_states"] = noise(_LENGTH, told)
    if (pooled := size("pooled_projection_dim")) is not None:
        found["pooled_projections"] = noise(pooled)
    if (classes := size("num_embeds_ada_norm", "num_class_embeds")) is not None:
        found["class_labels"] = whole(classes)
    return found


def _output(output: Any) -> Tensor:
    """The first tensor of an output."""
    found = output if isinstance(output, Tensor) else output[0]
    return found.float()
