"""`edgetui search`, `show`, `download` and `login` against the loopback hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import edgetui
from tests.hub.fixtures import WEIGHTS
from tests.hub.server import LoopbackHub

pytestmark = pytest.mark.usefixtures("hub_lab")
REPO = "maker/tiny-GGUF"


async def test_a_search_lists_and_a_wrong_filter_is_one_sentence(hub: LoopbackHub) -> None:
    status, out, err = await edgetui("search", "tiny", "--format", "gguf", "--sort", "downloads")
    assert (status, err) == (0, "") and out.splitlines()[1].startswith(REPO)
    status, out, _ = await edgetui("search", "--json")
    assert [row["repo"] for row in json.loads(out)] == [REPO]
    status, out, err = await edgetui("search", "nothing of that name")
    assert (status, out) == (1, "") and "no such model" in err
    for wrong in (("--format", "zip"), ("--sort", "size")):
        status, _, err = await edgetui("search", *wrong)
        assert status == 2 and err.startswith("edgetui: There is no ") and err.count("\n") == 1


async def test_a_model_is_shown_and_its_variant_downloaded_and_checked(hub: LoopbackHub) -> None:
    status, out, _ = await edgetui("show", REPO, "--card")
    assert status == 0 and "tiny-Q4_K_M" in out and "2.86 MiB" in out and out.endswith("# Tiny\nSmall.\n")
    status, out, err = await edgetui("show", REPO, "--inside")
    assert status == 0 and "hold no GGUF header" in out
    status, out, err = await edgetui("download", REPO, "q4_k_m")
    assert status == 0 and "matches the hub's hashes" in err
    assert Path(out.strip()).read_bytes() == WEIGHTS  # noqa: ASYNC240
    status, out, _ = await edgetui("jobs", "list")
    assert f"download {REPO} tiny-Q4_K_M" in out


async def test_wrong_names_and_a_broken_content_end_with_one_sentence(hub: LoopbackHub) -> None:
    status, _, err = await edgetui("download", REPO, "Q8_0")
    assert status == 2 and "is not one variant" in err and "tiny-Q4_K_M (2.86 MiB)" in err
    status, _, err = await edgetui("show", "nobody/nothing")
    assert status == 1 and "has no model nobody/nothing" in err
    hub.fail("/blobs/", corrupt_at=5)
    status, out, err = await edgetui("download", REPO)
    assert (status, out) == (1, "") and "its hash differs" in err.splitlines()[-1]


async def test_a_download_may_be_left_alone(hub: LoopbackHub) -> None:
    status, out, _ = await edgetui("download", REPO, "--detach")
    job_id = out.strip()
    assert status == 0 and job_id
    status, _, err = await edgetui("jobs", "first", job_id)
    assert status == 2 and "does not wait" in err
