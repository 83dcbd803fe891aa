"""What the system holds of a real file in memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgetui.engines import page_cache

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells and takes advice")


def test_a_file_is_put_out_of_memory_and_comes_back_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(4 << 20))
    assert page_cache.cached_share([path]) == 1.0
    assert page_cache.drop([path])
    share = page_cache.cached_share([path])
    if share == 1.0:
        pytest.skip("this file system lives in memory")
    assert share is not None and share < 0.1
    path.read_bytes()
    assert page_cache.cached_share([path]) == 1.0


def test_an_empty_file_has_no_share(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert page_cache.cached_share([path]) is None and page_cache.cached_share([]) is None
