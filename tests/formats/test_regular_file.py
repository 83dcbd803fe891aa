"""What stands under a model's name without being a file."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import read_gguf
from edgetui.formats.regular_file import open_regular
from edgetui.formats.safetensors import read_safetensors


def test_named_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    for name, read in (("pipe.gguf", read_gguf), ("pipe.safetensors", lambda path: read_safetensors([path]))):
        os.mkfifo(tmp_path / name)
        with pytest.raises(EdgetuiError, match=f"{name} is a named pipe, not a file"):
            read(tmp_path / name)


def test_device_folder_and_socket_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="zero is a device"):
        open_regular(Path("/dev/zero"))
    with pytest.raises(EdgetuiError, match="is a folder"):
        open_regular(tmp_path)
    # A socket's path may have 107 characters at most, less than a test's folder.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/model.gguf")
        with pytest.raises(OSError, match=r"model\.gguf"):
            open_regular(Path(short, "model.gguf"))


def test_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"data")
    (tmp_path / "name.gguf").symlink_to("blob")
    with open_regular(tmp_path / "name.gguf") as stream:
        assert stream.read() == b"data"
