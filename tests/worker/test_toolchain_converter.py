"""Of a package's sources only the converter is unpacked, and nothing outside its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.worker.runners.toolchain_converter import unpack, wanted_path

TOP = "llama_cpp_python-1.0/vendor/llama.cpp"
GOOD = {
    f"{TOP}/LICENSE": b"MIT",
    f"{TOP}/convert_hf_to_gguf.py": b"print()",
    f"{TOP}/conversion/__init__.py": b"",
    f"{TOP}/gguf-py/gguf/constants.py": b"A = 1",
    f"{TOP}/gguf-py/LICENSE": b"not asked for",
    f"{TOP}/src/llama.cpp": b"not asked for",
}


def archive(path: Path, files: dict[str, bytes], *further: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
        for member in further:
            members.addfile(member)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_only_the_converter_is_unpacked(tmp_path: Path) -> None:
    unpack(archive(tmp_path / "good.tar.gz", GOOD), tmp_path / "made")
    assert files_below(tmp_path / "made") == {
        "LICENSE",
        "convert_hf_to_gguf.py",
        "conversion/__init__.py",
        "gguf-py/gguf/constants.py",
    }


def test_members_that_would_lie_elsewhere_and_links_are_left_out(tmp_path: Path) -> None:
    hostile = archive(
        tmp_path / "hostile.tar.gz",
        {
            **GOOD,
            f"{TOP}/conversion/../../../../../escaped.py": b"x",
            f"/{TOP}/conversion/absolute.py": b"x",
            f"{TOP}/conversion/deep/through.py": b"x",
        },
        link(f"{TOP}/conversion/link.py", "/etc/passwd"),
        link(f"{TOP}/gguf-py/gguf", "/tmp"),
        link(f"{TOP}/conversion/hard.py", f"{TOP}/../../../etc/passwd", tarfile.LNKTYPE),
        link(f"{TOP}/conversion/pipe.py", "", tarfile.FIFOTYPE),
    )
    unpack(hostile, tmp_path / "inner" / "made")
    assert files_below(tmp_path / "inner") == {
        "made/LICENSE",
        "made/convert_hf_to_gguf.py",
        "made/conversion/__init__.py",
        "made/conversion/deep/through.py",
        "made/gguf-py/gguf/constants.py",
    }
    assert not list(tmp_path.rglob("escaped.py"))


@pytest.mark.parametrize(
    "name", ["", "x", "a/b", "a/../vendor/llama.cpp/LICENSE", f"{TOP}\\..\\LICENSE", f"{TOP}x/LICENSE"]
)
def test_a_strange_name_is_not_wanted(name: str) -> None:
    assert wanted_path(name) is None


def test_a_torn_archive_is_one_sentence(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.tar.gz", {**GOOD, f"{TOP}/conversion/long.py": bytes(range(256)) * 4000})
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "text.tar.gz").write_text("no archive")
    for path in (torn, tmp_path / "text.tar.gz"):
        with pytest.raises(EdgetuiError, match=f"{path.name} is damaged: empty pip's cache"):
            unpack(path, tmp_path / "made")


def test_sources_without_a_converter_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    rest = {name: content for name, content in GOOD.items() if "conversion" not in name}
    with pytest.raises(EdgetuiError, match="has no conversion"):
        unpack(archive(tmp_path / "other.tar.gz", rest), tmp_path / "made")


def test_a_converter_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "bomb.tar.gz", {**GOOD, f"{TOP}/conversion/zeros.py": bytes(65 * 1024**2)})
    assert bomb.stat().st_size < 1024**2
    with pytest.raises(EdgetuiError, match="more than 64 MiB: refused"):
        unpack(bomb, tmp_path / "made")
