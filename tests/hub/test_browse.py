"""Searches, pages, headers and logins through the real huggingface_hub."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HubQuery
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
