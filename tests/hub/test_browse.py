"""Searches, pages, headers and logins through the real huggingface_hub."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubQuery
from edgetui.core.hub_text import chosen_variant
from edgetui.hub import browse
from edgetui.hub.access import HubAccess
from edgetui.hub.account import login
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub


def names(access: HubAccess, **query: object) -> list[str]:
    pages = browse.search(access, HubQuery(**query))  # type: ignore[arg-type]
    return [model.repo for page in pages for model in page]


def test_a_search_goes_page_by_page_and_fetches_the_next_only_when_asked(access: HubAccess, hub: LoopbackHub) -> None:
    for number in range(120):
        hub.add(Repo(f"many/model-{number:03d}", tags=("gguf",), trending=number))
    pages = browse.search(access, HubQuery(text="model-"))
    first = next(pages)
    assert [model.repo for model in first[:2]] == ["many/model-119", "many/model-118"]
    asked = len(hub.requests)
    rest = [model for page in pages for model in page]
    assert len(first) + len(rest) == 120 and len(hub.requests) > asked


def test_filters_and_orders_are_the_hubs(access: HubAccess, hub: LoopbackHub) -> None:
    hub.add(Repo("b/onnx-one", tags=("onnx", "de", "license:mit"), downloads=99, gated="auto", gguf=None))
    hub.add(
        Repo("c/other", tags=("gguf",), pipeline_tag="fill-mask", likes=50, last_modified="2026-06-01T00:00:00.000Z")
    )
    assert names(access, formats=("onnx",)) == ["b/onnx-one"]
    assert names(access, language="de") == names(access, licence="mit") == names(access, gated=True) == ["b/onnx-one"]
    assert names(access, task="fill-mask") == names(access, author="c") == ["c/other"]
    assert names(access, sort="downloads")[0] == "b/onnx-one" and names(access, sort="likes")[0] == "c/other"
    assert names(access, sort="date")[0] == "c/other" and names(access, text="nothing") == []


def test_a_row_tells_what_the_hub_tells(access: HubAccess, hub: LoopbackHub) -> None:
    told = {"total": 134_515_008, "architecture": "llama"}
    hub.add(Repo("d/evil\x1b[31m", tags=("gguf", "license:mit\x07"), gguf=told, gated="manual", downloads=5))
    (page,) = browse.search(access, HubQuery(author="d"))
    (row,) = page
    assert row.parameter_count == 134_515_008 and row.architecture == "llama" and row.gated and row.downloads == 5
    assert "\x1b" not in row.repo and "\x07" not in row.licence


def test_a_page_has_variants_and_a_card_without_its_header(access: HubAccess) -> None:
    page = browse.page(access, "maker/tiny-GGUF")
    assert page.card == "# Tiny\nSmall." and len(page.commit) == 40
    (variant,) = page.variants
    assert variant.quant_type == "Q4_K_M" and variant.files[0].sha256 and variant.size_bytes == 3_000_000


def test_the_page_of_a_gated_model_is_open(access: HubAccess, hub: LoopbackHub) -> None:
    hub.repos["maker/tiny-GGUF"].gated = "manual"
    page = browse.page(access, "maker/tiny-GGUF")
    assert page.model.gated and page.card == "" and page.variants


@pytest.mark.parametrize(
    "fault, words",
    [
        ({"status": 429, "headers": {"Retry-After": "60"}}, "asks to slow down"),
        ({"status": 500}, "with status 500"),
        ({"status": 200, "body": b"<html>portal</html>"}, "as a hub does"),
    ],
)
def test_an_answer_that_is_none_is_said_at_once(
    access: HubAccess, hub: LoopbackHub, fault: dict[str, object], words: str
) -> None:
    hub.fail("/api/models", times=-1, **fault)
    began = time.monotonic()
    with pytest.raises(EdgetuiError, match=words):
        list(browse.search(access, HubQuery()))
    assert time.monotonic() - began < 5 and len(hub.requests) == 1


def test_a_dead_hub_is_no_traceback_and_no_line_on_the_terminal(
    access: HubAccess, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = HubAccess("http://127.0.0.1:9", access.cache, is_offline=False)
    with pytest.raises(EdgetuiError, match="cannot be reached"):
        list(browse.search(gone, HubQuery()))
    with pytest.raises(EdgetuiError, match="cannot be reached"):
        browse.page(gone, "a/b")
    assert capfd.readouterr() == ("", "")


def test_a_next_page_elsewhere_is_not_followed(access: HubAccess, hub: LoopbackHub) -> None:
    body = b"[]"
    link = {"Link": '<http://127.0.0.1:9/steal>; rel="next"', "Content-Type": "application/json"}
    hub.fail("/api/models", status=200, body=body, headers=link)
    assert list(browse.search(access, HubQuery())) == [[]]


def test_a_login_keeps_a_token_that_the_hub_knows_for_its_owner_only(
    access: HubAccess, hub: LoopbackHub, tmp_path: Path
) -> None:
    kept = tmp_path / "hf/token"
    with pytest.raises(EdgetuiError, match="does not know this token") as caught:
        login(access, "hf_wrong")
    assert "hf_wrong" not in str(caught.value) and not kept.exists()
    hub.tokens["hf_right"] = "edge"
    assert login(access, "hf_right") == "edge"
    assert kept.read_text() == "hf_right" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert access.token() == "hf_right"
    with pytest.raises(EdgetuiError, match="That is no token"):
        login(access, "two words")


@pytest.mark.parametrize(
    "sibling",
    [
        {"rfilename": "a.gguf", "size": "huge"},
        {"rfilename": "a.gguf", "size": -5},
        {"rfilename": 7, "size": 1},
        {"rfilename": "a.gguf", "lfs": {"size": 1, "sha256": ["x"], "pointerSize": 1}},
        {"rfilename": "a.gguf", "lfs": 3},
        3,
    ],
)
def test_a_hub_that_tells_nonsense_of_files_is_one_sentence(
    access: HubAccess, hub: LoopbackHub, sibling: object
) -> None:
    body = json.dumps({"id": "a/b", "sha": "0" * 40, "siblings": [sibling]}).encode()
    hub.fail("/api/models/a/b", status=200, body=body, headers={"Content-Type": "application/json"})
    with pytest.raises(EdgetuiError):
        browse.page(access, "a/b")


def test_an_answer_without_end_is_given_up(
    access: HubAccess, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail("/api/models", status=200, body=b"[" * 200_000)
    monkeypatch.setattr("edgetui.hub.access.MOST_ANSWER_BYTES", 100_000)
    with pytest.raises(EdgetuiError, match="answers without end"):
        list(browse.search(access, HubQuery()))


def test_an_answer_that_trickles_is_given_up(
    access: HubAccess, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["maker/tiny-GGUF"].put("README.md", b"x" * 900)
    hub.fail("README.md", bytes_per_s=100)
    monkeypatch.setattr("edgetui.hub.access.LONGEST_ANSWER_S", 0.3)
    with pytest.raises(EdgetuiError, match="does not answer in time"):
        browse.page(access, "maker/tiny-GGUF")


def test_size_and_type_are_asked_of_the_hub_and_held_against_its_answer(access: HubAccess, hub: LoopbackHub) -> None:
    for billions, kinds in ((0.6, ("Q8_0",)), (4, ("Q4_K_M", "Q8_0")), (14, ("Q4_K_M",))):
        repo = hub.add(Repo(f"sized/m-{billions}B", tags=("gguf",), gguf={"total": int(billions * 1e9)}))
        for kind in kinds:
            repo.put(f"m-{kind}.gguf", b"x")
    hub.add(Repo("sized/m-unknown", tags=("gguf",)))
    assert names(access, author="sized", least_billions=1.0, most_billions=8.0) == ["sized/m-4B"]
    assert "num_parameters=min%3A1B%2Cmax%3A8B" in hub.requests[-1].path
    assert names(access, author="sized", quant_type="q4_k_m") == ["sized/m-4B", "sized/m-14B"]
    assert "expand=siblings" in hub.requests[-1].path
    assert names(access, author="sized", quant_type="Q8_0", most_billions=1.0) == ["sized/m-0.6B"]
    names(access, author="sized")
    assert "expand=siblings" not in hub.requests[-1].path
    # A hub that does not know the parameter tells of all.
    ignorant = json.dumps([{"id": "x/large", "gguf": {"total": 10**11}}, {"id": "x/small", "gguf": {"total": 10**9}}])
    hub.fail("/api/models", status=200, body=ignorant.encode(), headers={"Content-Type": "application/json"})
    assert names(access, most_billions=2.0) == ["x/small"]


def test_a_renamed_model_is_followed_to_its_new_name_and_to_nobody_else(access: HubAccess, hub: LoopbackHub) -> None:
    moved = {"Location": "/api/models/maker/tiny-GGUF/revision/main?blobs=true"}
    hub.fail("/api/models/old/name", status=307, headers=moved)
    assert browse.page(access, "old/name").model.repo == "maker/tiny-GGUF"
    hub.fail("/api/models/old/name", status=307, headers={"Location": "http://127.0.0.1:9/steal"})
    with pytest.raises(EdgetuiError, match="does not answer"):
        browse.page(access, "old/name")


@pytest.mark.parametrize("body", [b"null", b"5", b'{"error": "x"}', b"[{}]", b'[{"id": "a/b", "tags": 5}]'])
def test_a_search_answered_in_another_shape_says_so(access: HubAccess, hub: LoopbackHub, body: bytes) -> None:
    hub.fail("/api/models", status=200, body=body, headers={"Content-Type": "application/json"})
    with pytest.raises(EdgetuiError, match="as a hub does: check HF_ENDPOINT"):
        list(browse.search(access, HubQuery()))


@pytest.mark.parametrize(("repo", "revision"), [("\udcff/x", "main"), ("maker/tiny-GGUF", "\udcff"), ("a/b", "")])
def test_names_that_are_none_are_refused_in_one_sentence(access: HubAccess, repo: str, revision: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        browse.page(access, repo, revision)
    assert caught.value.failure.kind == "bad_request" and str(caught.value).isprintable()


def test_files_of_one_name_in_two_folders_and_missing_shards_are_told(access: HubAccess, hub: LoopbackHub) -> None:
    repo = hub.add(Repo("maker/dup", tags=("gguf",)))
    for folder in ("fp16", "int4"):
        repo.put(f"{folder}/model.gguf", folder.encode() * 600)
    repo.put("model-00001-of-00003.safetensors", b"x" * 2000)
    repo.put("x" * 300 + "-Q4_K_M.gguf", b"y" * 2000)
    page = browse.page(access, "maker/dup")
    assert {each.name for each in page.variants} == {"fp16/model", "int4/model", "safetensors"}
    shards = next(each for each in page.variants if each.format == "safetensors")
    assert shards.missing == ("model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors")
    chosen = chosen_variant(page, "int4/model.gguf")
    assert chosen is not None and chosen.name == "int4/model"
