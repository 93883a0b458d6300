"""A worker looks up once what all of its trials would look up."""

import subprocess

import pytest

from skiplab.records import provenance
from skiplab.training.warm import is_of_own_code, warm, warm_for_every_trial
from tiny_trials import TINY, compose_config


def test_trials_look_up_neither_commit_nor_versions(compose_tiny, monkeypatch) -> None:
    """A trial that is forked later, when other code may be checked out, states the code that the worker imported."""
    for cached in (provenance._commit, provenance._version, warm_for_every_trial):
        cached.cache_clear()
    warm(compose_tiny().config)

    def asked(*_: object, **__: object) -> None:
        pytest.fail("looked up again")

    monkeypatch.setattr(subprocess, "run", asked)
    monkeypatch.setattr(provenance.metadata, "version", asked)
    assert provenance.origin(gpu=None, capability="AVX2")["versions"]["torch"]


def test_the_code_of_others_is_known_by_its_import_path() -> None:
    assert is_of_own_code(compose_config(*TINY).config)
    assert is_of_own_code(compose_config(*TINY, "experiment=residual_in_diffusion/quick").config)
    assert not is_of_own_code(compose_config(*TINY, "connection._target_=mine.Own").config)
    assert not is_of_own_code(compose_config(*TINY, "backbone=external", "backbone.target=mine.Net").config)
