"""Folders that transformers and diffusers wrote, measured by the command and in Python."""

import json
import sys
from pathlib import Path

import pytest
import torch

import skiplab
from command_line import run_command
from skiplab.errors import SkiplabError

pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "surgery")


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("gpt2", {"input_ids"}),
        ("bert", {"input_ids"}),
        ("vit", {"pixel_values"}),
        ("dit", {"hidden_states", "timestep", "class_labels"}),
        ("unet2d", {"sample", "timestep"}),
        ("unet2d_condition", {"sample", "timestep", "encoder_hidden_states"}),
    ],
)
def test_a_folder_gives_network_inputs_and_loss(name: str, reads: set[str], tmp_path: Path) -> None:
    from foreign_models import LIBRARIES

    saved, _ = LIBRARIES[name]()
    saved.save_pretrained(tmp_path)
    model, inputs, loss = skiplab.pretrained(tmp_path)
    assert type(model) is type(saved)
    own = saved.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in model.state_dict().items())
    assert inputs.keys() == reads
    assert loss(model) == 0
    found = skiplab.find_shortcuts(model, inputs).where(kind="identity")
    untouched = model(**inputs)[0]
    skiplab.ablate(model, "plain", found[:1])
    moved = (model(**inputs)[0] - untouched).norm() / untouched.norm()
    torch.testing.assert_close(loss(model), moved)
    assert moved > 0


def test_an_encoder_and_decoder_reads_tokens_twice(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    config = T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5Model(config).save_pretrained(tmp_path)
    assert skiplab.pretrained(tmp_path).example_inputs.keys() == {"input_ids", "decoder_input_ids"}


def test_the_command_takes_a_folder(tmp_path: Path) -> None:
    from foreign_models import gpt2

    gpt2()[0].save_pretrained(tmp_path / "gpt")
    ended = run_command(["ablate", str(tmp_path / "gpt"), "--to", str(tmp_path / "here")])
    assert ended.code == 0, ended.text
    assert "untouched: 0\n" in ended.text
    assert (tmp_path / "here" / "shortcuts.csv").is_file()
    ended = run_command(["ablate", str(tmp_path / "gpt"), "--weights", "other.pt"])
    assert ended.code == 1
    assert "has its own weights; leave out --weights" in ended.text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", r"config\.json can't be read: .*; give a folder of save_pretrained"),
        ({"architectures": ["NoSuchModel"]}, "NoSuchModel of transformers can't be loaded from .*: AttributeError"),
        ({"_class_name": "UNet2DModel"}, "UNet2DModel of diffusers can't be loaded from .*; write a function"),
    ],
)
def test_what_is_no_network_is_refused(config, message: str, tmp_path: Path) -> None:
    text = config if isinstance(config, str) else json.dumps(config)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SkiplabError, match=message):
        skiplab.pretrained(tmp_path)


def test_inputs_of_unknown_shape_are_refused(tmp_path: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    sizes = {"conv_dim": (8,), "conv_stride": (5,), "conv_kernel": (10,), "num_feat_extract_layers": 1}
    config = Wav2Vec2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, **sizes)
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(SkiplabError, match="Wav2Vec2Model reads input_values, whose shape is not known here; write a"):
        skiplab.pretrained(tmp_path)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["GPT2Model"]}))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SkiplabError, match="needs transformers, which is not installed"):
        skiplab.pretrained(tmp_path)
