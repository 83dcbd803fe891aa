"""What cannot be used is one sentence: on the command line with a status that scripts see, and on the screen."""

from __future__ import annotations

import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import DEMO, EDGETUI
from tests.gguf_files import STRING, Key, Tensor, with_keys, write_gguf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import OpenTerminal


def truncated(path: Path, demo: Path) -> None:
    """The beginning of a real model, as an interrupted copy leaves it."""
    with demo.open("rb") as stream:
        path.write_bytes(stream.read(4 * 1024**2))


def text(path: Path, _demo: Path) -> None:
    """What a failed download saves."""
    path.write_text("<!doctype html><title>404 Not Found</title>\n")


def absurd_counts(path: Path, _demo: Path) -> None:
    """A header that claims more tensors than any file could hold."""
    write_gguf(path, tensor_count=2**60)


def absurd_offsets(path: Path, _demo: Path) -> None:
    """A tensor that begins far behind the end of the file."""
    write_gguf(path, tensors=(Tensor("token_embd.weight", (8, 4), 0, 2**50),))


def unknown_architecture(path: Path, _demo: Path) -> None:
    """A sound file for an engine that is yet to be written."""
    write_gguf(path, keys=with_keys(Key("general.architecture", STRING, "llama9000")))


BAD_MODELS: dict[str, Callable[[Path, Path], None]] = {
    "truncated": truncated,
    "text": text,
    "absurd counts": absurd_counts,
    "absurd offsets": absurd_offsets,
    "unknown architecture": unknown_architecture,
}


@pytest.fixture(params=BAD_MODELS)
def bad_model(request: pytest.FixtureRequest, home: Path, demo_model: Path) -> Path:
    """A file named .gguf that no engine can load."""
    path = home / "bad.gguf"
    BAD_MODELS[request.param](path, demo_model)
    return path


def edgetui(*arguments: str | Path, file_limit_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `file_limit_bytes` lets no file grow beyond that, as a full disk would."""

    def limit() -> None:
        if file_limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))

    return subprocess.run(
        [EDGETUI, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, preexec_fn=limit
    )


def sentence_of(answer: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that stderr ends with; warnings and progress may stand before it."""
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("edgetui: "), answer.stderr
    assert "Traceback" not in answer.stderr and "Error" not in answer.stderr
    return last.removeprefix("edgetui: ")


def squeezed(text: str) -> str:
    """Text without the breaks that a narrow screen puts into it."""
    return "".join(text.split())


def files_below(folder: Path) -> set[str]:
    """Whatever lies in the models folder."""
    return {path.name for path in folder.rglob("*")}


def test_bad_model_is_refused_by_run_and_on_the_screen_in_the_same_words(
    bad_model: Path, open_terminal: OpenTerminal
) -> None:
    answer = edgetui("run", bad_model, "hello")
    sentence = sentence_of(answer)
    assert answer.returncode == 1 and answer.stdout == ""
    assert "bad.gguf" in sentence

    terminal = open_terminal("--model", str(bad_model), columns=120, rows=30)
    terminal.wait_for(lambda screen: squeezed(sentence) in squeezed(screen))
    terminal.press("f1")
    terminal.wait_for("[1 Hardware]")
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0


def test_bad_model_is_refused_by_quantize_and_bench_and_leaves_nothing(bad_model: Path, home: Path) -> None:
    for arguments in (("quantize", bad_model, "Q8_0", "--yes"), ("bench", bad_model, "-p", "8", "-n", "4", "-r", "1")):
        answer = edgetui(*arguments)
        assert answer.returncode == 1
        assert "bad.gguf" in sentence_of(answer)
    assert files_below(home / "data") <= {"models"}


def test_context_larger_than_memory_is_refused_by_run_and_on_the_screen(
    home: Path, open_terminal: OpenTerminal
) -> None:
    (home / "settings.toml").write_text("[load]\ncontext_tokens = 16000000\n")
    answer = edgetui("run", DEMO, "hello")
    sentence = sentence_of(answer)
    assert answer.returncode == 1
    assert "context" in sentence
    terminal = open_terminal("--model", DEMO, columns=120, rows=30)
    terminal.wait_for("with a context of 16000000 tokens needs")


def test_disk_without_room_is_refused_before_anything_is_written(home: Path) -> None:
    (home / "settings.toml").write_text(f"disk_headroom_bytes = {2**60}\n")
    answer = edgetui("quantize", DEMO, "Q8_0", "--yes")
    assert answer.returncode == 1
    assert "free some space" in sentence_of(answer)
    assert files_below(home / "data") <= {"models"}


def test_disk_that_fills_up_ends_a_quantization_without_leftovers(home: Path) -> None:
    answer = edgetui("quantize", DEMO, "Q8_0", "--yes", file_limit_bytes=20 * 1024**2)
    assert answer.returncode == 1
    assert "free some space" in sentence_of(answer)
    assert files_below(home / "data") <= {"models"}


def test_models_folder_that_cannot_be_read_is_named_by_the_list_and_on_the_screen(
    home: Path, open_terminal: OpenTerminal
) -> None:
    # A file in the folder's place: permissions would not stop root.
    (home / "data").mkdir()
    (home / "data" / "models").write_text("not a folder")
    answer = edgetui("models")
    assert answer.returncode == 1
    assert str(home / "data" / "models") in sentence_of(answer)
    terminal = open_terminal(columns=120, rows=30)
    terminal.wait_for("[1 Hardware]")
    terminal.press("2")
    terminal.wait_for(lambda screen: squeezed(str(home / "data" / "models")) in squeezed(screen))
    terminal.wait_for("(Not a directory)")


@pytest.mark.parametrize("arguments", [(), ("models",), ("doctor",)])
def test_wrong_key_in_the_settings_names_file_line_and_the_key_meant(
    home: Path, open_terminal: OpenTerminal, arguments: tuple[str, ...]
) -> None:
    (home / "settings.toml").write_text('theme = "textual-dark"\n\n[sampling]\ntemprature = 1.0\n')
    terminal = open_terminal(*arguments, columns=200)
    assert terminal.wait_for_exit() == 2
    assert terminal.is_restored
    for part in (str(home / "settings.toml"), "line 4", "temprature", "temperature"):
        assert part in terminal.text
    assert "Traceback" not in terminal.text
