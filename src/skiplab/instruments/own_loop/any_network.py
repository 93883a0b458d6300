"""What instruments measure of a network that skiplab didn't build: its layers, blocks and joins."""

from fnmatch import fnmatchcase
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch._dynamo import OptimizedModule, eval_frame
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import UninitializedParameter

from skiplab.errors import SkiplabError
from skiplab.layers import Block, Layer, Network, blocks, joins, weighted_modules
from skiplab.surgery.find_shortcuts import find_shortcuts

_COMPILED = (
    "the network is compiled by torch.compile, and a measured step would be compiled in other pieces, which rounds "
    "weights differently; train without torch.compile where you watch"
)


def network_of(model: nn.Module, *, blocks_at: str | None, example_inputs: Any) -> Network:
    """The places of any network, layers in the order of their registration.

    Layers are all modules that own a weight of at least two dimensions, called or not. Blocks are the modules at a
    pattern of paths; without one, the joins that `skiplab.ablate` made, else the branches of the shortcuts that one
    pass with the example inputs shows.

    Raises:
        SkiplabError: the network can't be measured, or the pattern fits none of its modules.
    """
    if not isinstance(model, nn.Module):
        raise SkiplabError(f"model is a {type(model).__name__}; valid: a torch.nn.Module")
    model = model.module if isinstance(model, DistributedDataParallel) else model
    _check(model)
    layers = [Layer(index, path, module) for index, (module, path) in enumerate(weighted_modules(model).items())]
    if not layers:
        raise SkiplabError(
            f"{type(model).__name__} has no weight of at least two dimensions, so there is no layer to measure"
        )
    found = joins(model)
    if blocks_at is not None:
        return Network(model, layers, _blocks_at(model, blocks_at), found)
    if found or example_inputs is None:
        return Network(model, layers, blocks(model), found)
    return Network(model, layers, _branches(model, example_inputs), found)


def check_placement(model: nn.Module) -> None:
    """Refuse a network whose weights lie where norms can't be taken together.

    Raises:
        SkiplabError: names the devices.
    """
    devices = sorted({str(parameter.device) for parameter in model.parameters()})
    if len(devices) > 1:
        raise SkiplabError(
            f"the network's weights lie on {', '.join(devices)}; instruments need them all on one device"
        )
    if devices[0].partition(":")[0] in ("meta", "mps"):
        raise SkiplabError(
            f"the network's weights lie on {devices[0]}, which has no numbers in float64; instruments need cpu or cuda"
        )


def refuse_compiled(frame: FrameType | None) -> None:
    """Refuse a forward pass that compiled code makes.

    Args:
        frame: of a function that the pass calls.

    Raises:
        SkiplabError: it is compiled.
    """
    while frame is not None:
        code = frame.f_code  # a connection that replaces a shortcut is kept out of compilation by another wrapper there
        if (code.co_filename, code.co_name) == (eval_frame.__file__, "compile_wrapper"):
            raise SkiplabError(_COMPILED)
        frame = frame.f_back


def _check(model: nn.Module) -> None:
    if isinstance(model, DataParallel):
        raise SkiplabError("DataParallel trains copies of the network; train with DistributedDataParallel instead")
    if any(isinstance(each, OptimizedModule) or each._compiled_call_impl is not None for each in model.modules()):
        raise SkiplabError(_COMPILED)
    scripted = next((name for name, each in model.named_modules() if _is_scripted_layer(each)), None)
    if scripted is not None:
        raise SkiplabError(
            f"{scripted or 'the network'} is a script of torch.jit, whose layers can't be watched; train the network "
            "as it was before"
        )
    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        raise SkiplabError(
            "the network has lazy layers that have no weights yet; run it once on a batch, then watch it"
        )
    if sharded := next((name for name, each in model.named_parameters() if _is_sharded(each)), None):
        raise SkiplabError(
            f"{sharded} is shared out among processes, and no process has its whole gradient; train with "
            "DistributedDataParallel, or on one device"
        )


def _is_scripted_layer(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule) and any(True for _ in module.parameters())


def _is_sharded(parameter: nn.Parameter) -> bool:
    """Whether it is a part of a weight, by FSDP, tensor parallelism or DeepSpeed's ZeRO."""
    names = {kind.__name__ for kind in type(parameter).__mro__}
    return bool(names & {"DTensor", "FlatParameter"}) or hasattr(parameter, "ds_id")


def _blocks_at(model: nn.Module, pattern: str) -> list[Block]:
    """The outermost modules whose paths fit a pattern."""
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if path and not inside and fnmatchcase(path, pattern) and any(True for _ in module.parameters()):
            found[path] = module
    if not found:
        valid = ", ".join(dict.fromkeys(path.split(".")[0] for path, _ in model.named_modules() if path))
        raise SkiplabError(
            f"blocks={pattern!r} fits no module with weights; valid: a pattern of paths such as 'layers.*', with the "
            f"modules {valid}"
        )
    return [Block(index, path, tuple(each.parameters())) for index, (path, each) in enumerate(found.items())]


def _branches(model: nn.Module, example_inputs: Any) -> list[Block]:
    """The branch of each shortcut, in the order in which the network passes them."""
    modules = dict(model.named_modules())
    parameters = [
        {parameter: None for path in shortcut.branch for parameter in modules[path].parameters()}
        for shortcut in find_shortcuts(model, example_inputs).where(kind=["identity", "projection"])
    ]
    return [Block(index, f"block.{index}", tuple(own)) for index, own in enumerate(filter(None, parameters))]
