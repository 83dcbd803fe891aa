"""Looking inside what is not here: true headers over real ranges, as little of the way as can be."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubPage
from edgetui.formats.gguf import read_gguf
from edgetui.formats.gguf_header import GgufHeader
from edgetui.formats.onnx_config import read_onnx_config
from edgetui.formats.safetensors import read_safetensors
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.header import fetch_variant
from edgetui.services.families import read_families
from tests.formats.test_gguf import split_set
from tests.formats.test_safetensors import WEIGHT, write
from tests.gguf_files import STRING, U32, Key, gguf_bytes, with_keys
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub
from tests.outline_gguf import write_outline

REPO = "maker/inside"


@pytest.fixture
def repo(hub: LoopbackHub) -> Repo:
    return hub.add(Repo(REPO, tags=("gguf",)))


def tensors(header: GgufHeader) -> list[tuple[str, tuple[int, ...], str, int]]:
    return [(each.name, each.shape, each.type.name, each.offset) for each in header.tensors]


def look(access: HubAccess, page: HubPage, name: str, folder: Path, like: Path | None = None) -> tuple[Path, ...]:
    variant = next(each for each in page.variants if each.name == name)
    return fetch_variant(access, page, variant, folder, like).weights


def test_a_header_is_read_by_range_into_a_file_with_a_hole_and_kept(
    access: HubAccess, hub: LoopbackHub, repo: Repo, demo_model: Path, tmp_path: Path
) -> None:
    repo.put("demo-Q4_1.gguf", demo_model)
    page = browse.page(access, REPO)
    (path,) = look(access, page, "demo-Q4_1", tmp_path)
    told, true = read_gguf(path), read_gguf(demo_model)
    assert (tensors(told), told.metadata, told.size_bytes) == (tensors(true), true.metadata, true.size_bytes)
    sent = hub.sent_bytes("/blobs/")
    assert sent <= 4 * 1024**2 and path.stat().st_blocks * 512 < 8 * 1024**2
    assert look(access, page, "demo-Q4_1", tmp_path) == (path,) and hub.sent_bytes("/blobs/") == sent, "it is kept"


def test_of_further_variants_only_the_list_of_tensors_is_fetched(
    access: HubAccess, hub: LoopbackHub, repo: Repo, tmp_path: Path
) -> None:
    member = next(each for family in read_families() for each in family.members if each.name == "Qwen3-0.6B")
    made = {kind: write_outline(tmp_path / f"qwen-{kind}.gguf", member, kind) for kind in ("Q8_0", "Q4_K_M", "Q6_K")}
    for path in made.values():
        repo.put(path.name, path)
    page = browse.page(access, REPO)
    (like,) = look(access, page, "qwen-Q8_0", tmp_path / "headers")
    for kind in ("Q4_K_M", "Q6_K"):
        before = hub.sent_bytes("/blobs/")
        (path,) = look(access, page, f"qwen-{kind}", tmp_path / "headers", like)
        assert hub.sent_bytes("/blobs/") - before <= 256 * 1024
        told, true = read_gguf(path), read_gguf(made[kind])
        assert tensors(told) == tensors(true) and told.missing_bytes == 0
        assert told.vocabulary_size == true.vocabulary_size


def test_another_variants_metadata_may_be_longer_or_shorter(
    access: HubAccess, hub: LoopbackHub, repo: Repo, tmp_path: Path
) -> None:
    long = with_keys(Key("quantize.imatrix.file", STRING, "x" * 5000), Key("quantize.imatrix.chunks", U32, 7))
    repo.put("tiny-Q8_0.gguf", gguf_bytes() + bytes(100))
    repo.put("plain-Q8_0.gguf", gguf_bytes())
    repo.put("tiny-Q4_0.gguf", gguf_bytes(long))
    page = browse.page(access, REPO)
    (like,) = look(access, page, "plain-Q8_0", tmp_path)
    (path,) = look(access, page, "tiny-Q4_0", tmp_path, like)
    assert tensors(read_gguf(path)) == tensors(read_gguf(like)) and read_gguf(path).missing_bytes == 0
    assert "quantize.imatrix.file" not in read_gguf(path).metadata, "its own metadata was not fetched"
    (odd,) = look(access, page, "tiny-Q8_0", tmp_path, like)
    assert odd.stat().st_size == len(gguf_bytes()) + 100, "a file that does not end with its tensors is read whole"


def test_a_variant_of_another_model_is_read_by_itself(
    access: HubAccess, repo: Repo, demo_model: Path, tmp_path: Path
) -> None:
    repo.put("demo-Q4_1.gguf", demo_model)
    repo.put("tiny-Q8_0.gguf", gguf_bytes())
    page = browse.page(access, REPO)
    (like,) = look(access, page, "demo-Q4_1", tmp_path)
    (path,) = look(access, page, "tiny-Q8_0", tmp_path, like)
    assert path.read_bytes() == gguf_bytes()


def test_all_parts_of_a_split_model_are_looked_into(access: HubAccess, repo: Repo, tmp_path: Path) -> None:
    parts = split_set(tmp_path)
    for part in parts:
        repo.put(f"Q8_0/{part.name}", part)
    page = browse.page(access, REPO)
    (variant,) = page.variants
    paths = fetch_variant(access, page, variant, tmp_path / "headers").weights
    assert [path.name for path in paths] == [part.name for part in parts]
    assert tensors(read_gguf(paths[0])) == tensors(read_gguf(parts[0]))


def test_safetensors_and_onnx_tell_what_their_headers_and_configurations_say(
    access: HubAccess, hub: LoopbackHub, repo: Repo, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    write(whole / "model.safetensors", {"a": WEIGHT}, bytes(12))
    repo.put("model.safetensors", (whole / "model.safetensors").read_bytes())
    repo.put("config.json", b'{"model_type": "qwen3", "max_position_embeddings": 40960}')
    genai = {
        "model": {
            "type": "phi3",
            "context_length": 131072,
            "decoder": {"num_hidden_layers": 32, "session_options": {"provider_options": [{"cuda": {}}]}},
        }
    }
    repo.put("onnx-int4/genai_config.json", json.dumps(genai).encode())
    repo.put("onnx-int4/model.onnx", b"graph" * 500)
    repo.put("onnx-int4/model.onnx.data", bytes(100_000))
    page = browse.page(access, REPO)
    (path,) = look(access, page, "safetensors", tmp_path / "headers")
    model = read_safetensors([path])
    assert (model.architecture, model.context_length, model.parameter_count) == ("qwen3", 40960, 6)
    onnx = next(each for each in page.variants if each.format == "onnx")
    fetched = fetch_variant(access, page, onnx, tmp_path / "headers")
    config = read_onnx_config(fetched.folder)
    assert fetched.weights == () and config.is_for_genai
    assert (config.model_type, config.layers, config.context_length, config.providers) == (
        "phi3",
        32,
        131072,
        ("cuda",),
    )
    assert not hub.requests or all("model.onnx" not in seen.path for seen in hub.requests)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x-Q8_0.gguf", b"no header at all" * 100, "hold no GGUF header"),
        ("model.safetensors", struct.pack("<Q", 1 << 60) + bytes(2000), "begins with no safetensors header"),
        ("model.safetensors", bytes(2000), "begins with no safetensors header"),
    ],
)
def test_what_holds_no_header_says_so_and_leaves_nothing(
    access: HubAccess, repo: Repo, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    repo.put(name, content)
    page = browse.page(access, REPO)
    with pytest.raises(EdgetuiError, match=words):
        fetch_variant(access, page, page.variants[0], tmp_path / "headers")
    assert [path for path in (tmp_path / "headers").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("text", [b"", b"[1]", b'{"model": 3}', b'{"model": {"decoder": [], "type": 5}}', b"\xff"])
def test_an_odd_configuration_says_less_and_breaks_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "genai_config.json").write_bytes(text)
    config = read_onnx_config(tmp_path)
    assert config.model_type == "" and config.context_length is None


def test_headers_that_were_not_looked_at_for_longest_make_room(
    access: HubAccess, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("Q8_0", "Q6_K", "Q4_0"):
        repo.put(f"tiny-{kind}.gguf", gguf_bytes() + kind.encode() * 100)
    page = browse.page(access, REPO)
    paths = {}
    for age, kind in ((30, "Q8_0"), (20, "Q6_K")):
        (paths[kind],) = look(access, page, f"tiny-{kind}", tmp_path / "headers")
        then = time.time() - age
        os.utime(paths[kind].parent, (then, then))
    monkeypatch.setattr("edgetui.hub.header.MOST_KEPT_BYTES", 9000)
    (newest,) = look(access, page, "tiny-Q4_0", tmp_path / "headers")
    assert newest.exists() and paths["Q6_K"].exists() and not paths["Q8_0"].exists()


def test_a_size_that_no_disk_has_is_one_sentence(
    access: HubAccess, hub: LoopbackHub, repo: Repo, tmp_path: Path
) -> None:
    repo.put("tiny-Q8_0.gguf", gguf_bytes() + bytes(2000))
    page = browse.page(access, REPO)
    (variant,) = page.variants
    huge = msgspec.structs.replace(variant.files[0], size_bytes=(1 << 59) + 1)
    with pytest.raises(EdgetuiError, match="impossible size"):
        fetch_variant(access, page, msgspec.structs.replace(variant, files=(huge,)), tmp_path / "headers")
