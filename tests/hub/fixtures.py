"""Pytest fixtures around the loopback hub."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from edgetui.hub.access import HubAccess
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetui.services.lab import Lab

WEIGHTS = random.Random(7).randbytes(3_000_000)
"""Content of a large file."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub with one model, and this process's environment turned to it."""
    with LoopbackHub() as made:
        repo = made.add(Repo("maker/tiny-GGUF", tags=("gguf", "license:apache-2.0", "en"), downloads=7, likes=3))
        repo.put("README.md", b"---\nlicense: apache-2.0\n---\n# Tiny\nSmall.\n")
        repo.put("tiny-Q4_K_M.gguf", WEIGHTS)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", made.endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "hf/token"))
        yield made


@pytest.fixture
def access(hub: LoopbackHub) -> HubAccess:
    """What the environment says."""
    return HubAccess.of_environment()


@pytest.fixture
def hub_lab(home: Path, hub: LoopbackHub) -> Lab:
    """Services whose hub is the loopback one; `home` comes first, since it clears the hub's variables."""
    from edgetui.services.lab import Lab

    return Lab()
