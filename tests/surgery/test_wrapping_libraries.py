"""PEFT and Accelerate before and after shortcuts are replaced; each is tested where it is installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_models import Residual, gpt2, joins, points
from test_ablate import equal, forward_and_back, run
from torch import nn

import skiplab
from skiplab.errors import SkiplabError

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def peft() -> Any:
    return pytest.importorskip("peft")


@pytest.fixture
def accelerate() -> Any:
    library = pytest.importorskip("accelerate")
    library.state.AcceleratorState._reset_state(reset_partial_state=True)
    return library


def network(connection: str = "") -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model, inputs = gpt2()
    model.eval()
    return replaced(model, inputs, connection) if connection else model, inputs


def replaced(model: nn.Module, inputs: Any, connection: str) -> nn.Module:
    return skiplab.ablate(model, connection, skiplab.find_shortcuts(model, inputs))


ADAPTERS: dict[str, Callable[[Any], Any]] = {
    "lora": lambda peft: peft.LoraConfig(target_modules=["c_attn", "c_fc"], init_lora_weights=False, r=2),
    "dora": lambda peft: peft.LoraConfig(
        target_modules=["c_attn", "c_fc"], init_lora_weights=False, r=2, use_dora=True
    ),
    "ia3": lambda peft: peft.IA3Config(target_modules=["c_attn", "c_fc"], feedforward_modules=["c_fc"]),
    "adalora": lambda peft: peft.AdaLoraConfig(target_modules=["c_attn"], total_step=10),
    "prefix": lambda peft: peft.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
    "prompt": lambda peft: peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_are_part_of_the_branch(adapter, peft) -> None:
    model, inputs = network()
    model = peft.get_peft_model(model, ADAPTERS[adapter](peft)).eval()
    found = skiplab.find_shortcuts(model, inputs)
    assert [each.path.rpartition("transformer.")[2] for each in found] == ["h.0", "h.0", "h.1", "h.1"]
    before = forward_and_back(model, inputs)
    skiplab.ablate(model, "identity", found)
    assert equal(forward_and_back(model, inputs), before)
    skiplab.ablate(skiplab.restore(model), "rezero", found)
    assert all(p.requires_grad for name, p in model.named_parameters() if "skiplab_joins" in name)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_after_joins_are_the_same(adapter, peft) -> None:
    outputs = []
    for first in (True, False):
        model, inputs = network("plain" if first else "")
        torch.manual_seed(1)
        model = peft.get_peft_model(model, ADAPTERS[adapter](peft)).eval()
        outputs.append(run(model if first else replaced(model, inputs, "plain"), inputs))
    assert torch.equal(*outputs)


def test_adapters_freeze_the_joins_that_they_find(peft) -> None:
    model, _ = network("rezero")
    model = peft.get_peft_model(model, ADAPTERS["lora"](peft))
    assert not any(p.requires_grad for name, p in model.named_parameters() if "skiplab_joins" in name)


def test_merging_keeps_the_joins(peft) -> None:
    model, inputs = network()
    model = replaced(peft.get_peft_model(model, ADAPTERS["lora"](peft)).eval(), inputs, "plain")
    before = run(model, inputs)
    torch.testing.assert_close(run(model.merge_and_unload(), inputs), before)


def test_a_prepared_network_trains(accelerate) -> None:
    accelerator = accelerate.Accelerator(cpu=True)
    model, inputs = network("rezero")
    expected = forward_and_back(model, inputs)
    model = accelerator.prepare(model)
    assert equal(forward_and_back(model, inputs), expected)


def test_a_forward_in_mixed_precision_is_refused_where_it_adds(accelerate) -> None:
    accelerator = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    model, x = points(Residual, joins)
    model = accelerator.prepare(model)
    with pytest.raises(SkiplabError, match="was replaced on the instance, as some libraries do; replace the shortcuts"):
        skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))


PLACES = {
    **{f"transformer.{name}": "cpu" for name in ("wte", "wpe", "drop", "h.0", "ln_f")},
    **{"transformer.h.1": "disk", "lm_head": "cpu"},
}


@pytest.mark.parametrize("connection", ["identity", "plain", "layerscale"])
def test_a_network_in_several_places(connection, accelerate, tmp_path: Path) -> None:
    model, inputs = network()
    before = run(model, inputs)
    expected = run(network(connection)[0], inputs)
    model = accelerate.dispatch_model(model, PLACES, main_device="cpu", offload_dir=tmp_path, force_hooks=True)
    with torch.no_grad():
        assert torch.equal(run(replaced(model, inputs, connection), inputs), expected)
        assert torch.equal(run(skiplab.restore(model), inputs), before)


@pytest.mark.parametrize("connection", ["identity", "plain", "layerscale"])
@pytest.mark.parametrize("first", [True, False])
def test_weights_that_are_offloaded(first, connection, accelerate) -> None:
    expected = run(network(connection)[0], network()[1])
    model, inputs = network(connection if first else "")
    model = accelerate.cpu_offload(model, execution_device="cpu", preload_module_classes=["ForeignJoin"])
    with torch.no_grad():
        assert torch.equal(run(model if first else replaced(model, inputs, connection), inputs), expected)


def test_a_folder_in_several_places(accelerate, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, inputs = network()
    model.save_pretrained(tmp_path)
    expected = run(replaced(model, inputs, "plain"), inputs)
    offload = {"device_map": PLACES, "offload_folder": str(tmp_path / "offloaded")}
    for settings in ({"device_map": "cpu"}, offload):
        again = AutoModelForCausalLM.from_pretrained(tmp_path, **settings).eval()
        with torch.no_grad():
            assert torch.equal(run(replaced(again, inputs, "plain"), inputs), expected)
