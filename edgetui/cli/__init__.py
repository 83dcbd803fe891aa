"""The command line: one module a subcommand, over the services that the app uses.

Exit status: 0 done, 1 failed, 2 wrong usage, settings or request, 130 interrupted; `doctor` says 0 ready,
1 ready with warnings, 2 not ready.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from edgetui import __version__
from edgetui.cli.text_arguments import mend_texts, unreadable_in_words
from edgetui.cli.usage import usage_in_words
from edgetui.config import default_config_file, load_settings
from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130

app = typer.Typer(
    name="edgetui",
    help="A model lab in a terminal. Without a command it opens the app.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    "hw", "models", "note", "diff", "add", "duplicates", "fit", "calibrate", "recommend", "search", "show", "download",
    "login", "verify", "delete", "quantize", "imatrix", "tensors", "recipe", "convert", "olive", "toolchain", "sweep",
    "frontier", "quality", "onnx", "server", "run", "profile", "chats", "compare", "bench", "autotune", "history",
    "jobs", "doctor",
)  # fmt: skip
"""In the order of the help; each is a function or an app of its name in a module of its name."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"edgetui {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Open the app with this model loaded.")] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Open the app when no command is given."""
    # A wrong settings file stops every command, also one that would not have looked into it.
    load_settings(default_config_file())
    if context.invoked_subcommand is None:
        from edgetui.open_app import open_app

        raise typer.Exit(open_app(model))


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status. Raises `EdgetuiError` for the caller to print."""
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    # Only the help needs all of them; a command should not wait for the imports of the others.
    for name in (named,) if named in COMMANDS else COMMANDS:
        command = getattr(import_module(f"edgetui.cli.{name}"), str(name))
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    mend_texts(app)
    output, status = sys.stdout, 0
    failed: OSError | None = None
    try:
        with unreadable_in_words(arguments), usage_in_words():
            # On its own it would print what was wrong in a form of its own; what it returns then is the status.
            ended = app(args=list(arguments), prog_name="edgetui", standalone_mode=False)
        status = ended if isinstance(ended, int) else 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    except typer.Abort:
        # A question that was left, by its end of input.
        status = 1
    except OSError as error:
        # Writing what was printed names no file.
        if error.filename is not None or error.errno != errno.ENOSPC:
            raise
        failed = error
    # Typer ends with 1 when nobody reads any more, and leaves a stream of its own behind.
    unread = sys.stdout is not output
    try:
        output.flush()
    except BrokenPipeError:
        unread = True
    except OSError as error:
        failed = error
    if failed is not None:
        _drop_output(output)
        raise EdgetuiError("no_space", f"The output cannot be written ({failed.strerror}).") from failed
    if unread:
        # Whoever read our output has enough (`edgetui models | head`).
        _drop_output(output)
        return 0
    return status


def _drop_output(output: TextIO) -> None:
    """Python must not complain at exit of what is still unwritten."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
