"""Networks of others as trials like any other."""

import json

import pytest
import torch
from torch import Tensor, nn

import skiplab
from option_files import options
from skiplab.errors import SkiplabError
from skiplab.layers import blocks, joins
from tiny_trials import compose_config, network, run_tiny

HERE = ("backbone=external", f"backbone.target={__name__}.Denoiser")
UNET = (
    "backbone=external",
    "backbone.target=diffusers.UNet2DModel",
    "backbone.level_scale=1000",
    "+backbone.arguments={sample_size: 8, in_channels: 1, out_channels: 1, layers_per_block: 1,"
    " block_out_channels: [8, 16], norm_num_groups: 4, down_block_types: [DownBlock2D, DownBlock2D],"
    " up_block_types: [UpBlock2D, UpBlock2D]}",
)
OF_OTHERS = ("classification", "per_class", "calibration", "bayes_floor", "vendi_score", "gradient_correlation")


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.norm(x).relu())


class Denoiser(nn.Module):
    def __init__(self, num_blocks: int = 2, out_channels: int = 1) -> None:
        super().__init__()
        self.stem, self.told = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(1, 4)
        self.blocks = nn.Sequential(*(Block(4) for _ in range(num_blocks)))
        self.head = nn.Conv2d(4, out_channels, 3, padding=1)

    def forward(self, image: Tensor, level: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(image) + self.told(level[:, None])[:, :, None, None]))


class Classifier(nn.Module):
    """Of images of any size, told nothing; answers as libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(1, 4, 3), Block(4), nn.Linear(4, 10)

    def forward(self, pixels: Tensor):
        return (self.head(self.block(self.stem(pixels)).mean(dim=(2, 3))),)


class Straight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return self.conv(x)


class Overwriting(Classifier):
    """Takes the mean out of the images that it gets, and returns the same memory in each pass that can't train."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = torch.empty(0)

    def forward(self, pixels: Tensor) -> Tensor:
        (logits,) = super().forward(pixels.sub_(pixels.mean()))
        return logits if torch.is_grad_enabled() else self.memory.resize_(logits.shape).copy_(logits)


def words(target: str) -> tuple[str, str]:
    return "backbone=external", f"backbone.target={__name__}.{target}"


def test_trains_and_is_loaded_again(tmp_path) -> None:
    trial = run_tiny(tmp_path, *HERE, "connection=rezero")
    assert trial.outcome.status == "done"
    loaded = skiplab.load(trial.record.folder, trust=True).model
    alphas = [parameter for path, parameter in loaded.named_parameters() if path.endswith("alpha")]
    assert len(alphas) == 2
    assert all(alpha.item() != 0 for alpha in alphas)
    assert trial.record.read()["parity"]["num_joins"] == 2


@pytest.mark.parametrize("connection", ["plain", "rezero", "layerscale", "highway_gate"])
def test_arms_start_from_the_same_weights_of_the_seed(connection) -> None:
    def weights(*overrides: str) -> dict[str, Tensor]:
        return network(compose_config(*HERE, *overrides).config).state_dict()

    first, other = weights("connection=identity"), weights(f"connection={connection}")
    assert all(torch.equal(value, other[name]) for name, value in first.items())
    assert all(".connection." in name for name in other.keys() - first.keys())
    assert not torch.equal(first["model.stem.weight"], weights("connection=identity", "seed=1")["model.stem.weight"])


def test_an_untouched_network_is_the_identity_arm() -> None:
    model = network(compose_config(*HERE, "connection=identity").config)
    own = Denoiser()
    own.load_state_dict({name.removeprefix("model."): value for name, value in model.state_dict().items()})
    x, level = torch.randn(3, 1, 8, 8), torch.rand(3)
    assert torch.equal(model(x, level), own(x, level))


def test_every_instrument_and_evaluator_measures_one(tmp_path) -> None:
    instruments = options("instrument")
    evaluators = [option for option in options("evaluator") if option not in OF_OTHERS]
    asked = [f"instrument=[{','.join(instruments)}]", f"evaluator=[{','.join(evaluators)}]"]
    asked += ["evaluator.round_trip.num_steps=[1,10]", "evaluator.landscape.num_points=3"]
    asked += ["evaluator.landscape.num_images=8", "evaluator.landscape.num_eigenvalues=2"]
    asked += ["evaluator.landscape.num_directions=2", "evaluator.jacobian.num_images=1"]
    asked += ["evaluator.kernel_distance.subset_size=32", "evaluator.linear_probe.num_images=64"]
    record = run_tiny(tmp_path, *UNET, "connection=identity", "num_samples=64", *asked).record.read()
    assert record["status"] == "done"
    declared = {"effective_rank_blocks", "update_alignment", "refining_fraction", "lesion_ratio", "stream_gain"}
    declared |= {"update_ratio_first_block", "gradient_growth_per_block", "detail_worst_block", "cka_first_last"}
    assert declared <= record["summary"].keys()
    assert record["parity"]["num_joins"] == 9  # two blocks down, two and an attention in the middle, four up


def test_a_classifier_and_named_arguments(tmp_path) -> None:
    named = "+backbone.inputs.pixels=x"
    objective = ("objective=cross_entropy", "long_skip=none", "evaluator=[classification]")
    trial = run_tiny(tmp_path, *words("Classifier"), named, *objective)
    assert "accuracy_val" in trial.record.read()["summary"]


def test_a_network_may_write_over_its_input_and_its_output() -> None:
    config = compose_config(*words("Overwriting"), "objective=cross_entropy", "long_skip=none").config
    model = network(config)
    images = [torch.randn(3, 1, 8, 8) + 1 for _ in range(2)]
    copies = [each.clone() for each in images]
    with torch.no_grad():
        outputs = [model(each) for each in images]
        again = model(copies[0])
    assert all(torch.equal(one, other) for one, other in zip(images, copies, strict=True))
    assert not torch.equal(*outputs)
    assert torch.equal(outputs[0], again)


def test_branches_are_blocks_whose_parameters_are_theirs() -> None:
    model = network(compose_config(*HERE, "connection=rezero").config)
    found = blocks(model)
    assert [block.index for block in found] == [0, 1]
    own = {id(parameter) for parameter in model.model.blocks[1].parameters()}
    assert {id(parameter) for parameter in found[1].parameters} == own
    assert [place.module.block_index for place in joins(model)] == [0, 1]


def test_only_the_shortcuts_asked_for_are_replaced() -> None:
    model = network(compose_config(*HERE, "backbone.path=blocks.1", "connection=plain").config)
    assert len(joins(model)) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), r"backbone\.target has no default; give it, backbone\.target=\.\.\."),
        (("backbone.target=nowhere.Net",), "nowhere.Net can't be imported: ModuleNotFoundError.*PYTHONPATH="),
        ((*words("words"), "+backbone.arguments.target=a"), "returns a tuple; valid: a torch.nn.Module"),
        ((*HERE, "+backbone.arguments.num_layers=2"), "can.t be built with num_layers=2"),
        ((*HERE, "+backbone.arguments.out_channels=2"), r"returns the shape \(1, 2, 8, 8\).*needs \(1, 1, 8, 8\)"),
        ((*HERE, "data=patches", "feature_extractor=raw"), "fails on an input of 3 x 16 x 16"),
        ((*HERE, "backbone.path=layers.*"), r"no shortcut has path='layers\.\*'"),
        ((*HERE, "backbone.kinds=[residual]"), "backbone.kinds=residual is invalid; valid: identity, projection"),
        ((*HERE, "+backbone.inputs.image=picture"), "has the value picture; valid in this trial.*: x, level"),
        ((*HERE, "+backbone.inputs.level=level"), "backbone.inputs has no x"),
        ((*words("Straight"),), "Straight has no shortcuts"),
        ((*HERE, "connection=hyper_connections"), "needs a memory of its own"),
        ((*HERE, "init=he"), "has initial weights of its own"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, overrides, message) -> None:
    with pytest.raises(SkiplabError, match=f"(?s){message}"):
        run_tiny(tmp_path, "backbone=external", *overrides)
    assert not list(tmp_path.iterdir())


def test_a_record_names_the_network(tmp_path) -> None:
    record = run_tiny(tmp_path, *HERE, "+backbone.arguments.num_blocks=3").record.read()
    assert json.loads(json.dumps(record["factors"]))["backbone.arguments.num_blocks"] == 3
    assert record["parity"]["num_joins"] == 3
