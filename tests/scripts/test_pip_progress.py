"""What a person sees of pip while llama.cpp is built, and what the log keeps."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.pip_progress import run_with_progress

if TYPE_CHECKING:
    from pathlib import Path

BUILD = """\
Collecting llama-cpp-python
  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)
Progress 0 of 76600000
Progress 76600000 of 76600000
  [1/3] /usr/bin/gcc -DGGML_BUILD -o ggml.c.o -c /tmp/llama.cpp/ggml/src/ggml.c
  [2/3] /usr/bin/g++ -O3 -o llama.cpp.o -c /tmp/llama.cpp/src/llama.cpp
  [3/3] : && /usr/bin/g++ -shared -o bin/libllama.so.0
Successfully installed edgetui-0.1.0 llama-cpp-python-0.3.36 numpy-2.4.6 rich-15.0.0
"""
FAULT = """\
  [1/3] /usr/bin/gcc -DGGML_BUILD -o ggml.c.o -c /tmp/llama.cpp/ggml/src/ggml.c
  /tmp/llama.cpp/ggml/src/ggml.c:7:10: fatal error: stdio.h: No such file or directory
      7 | #include <stdio.h>
"""


def run(output: str, code: int, folder: Path) -> tuple[int, str]:
    """Run a program that prints `output` and exits with `code`; returns the code and what the log holds."""
    script = folder / "pip.py"
    script.write_text(f"import sys; sys.stdout.write({output!r}); sys.exit({code})")
    log = folder / "setup.log"
    found = run_with_progress([sys.executable, str(script)], dict(os.environ), log)
    return found, log.read_text()


def test_build_shows_its_steps_and_the_log_keeps_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, log = run(BUILD, 0, tmp_path)
    shown = capsys.readouterr().out
    assert code == 0
    assert log == BUILD
    assert "Downloading llama_cpp_python  77 of 77 MB" in shown
    assert "1/3" in shown
    assert "3/3" in shown
    assert "Installed 4 packages" in shown
    assert "gcc" not in shown


def test_failure_keeps_its_exit_code_and_shows_the_compilers_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, log = run(FAULT, 3, tmp_path)
    reason = capsys.readouterr().err
    assert code == 3
    assert log == FAULT
    assert "fatal error: stdio.h" in reason
    assert "#include <stdio.h>" in reason
    assert "DGGML_BUILD" not in reason
