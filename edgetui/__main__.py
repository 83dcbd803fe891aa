"""Entry of `edgetui`: no arguments open the app at once; anything else goes to the command line."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run edgetui with this process's arguments and exit with its status."""
    _mend_streams()
    from edgetui.asyncio_log import keep_asyncio_in_log

    keep_asyncio_in_log()
    arguments = sys.argv[1:]
    from edgetui.core.failures import EdgetuiError

    try:
        if not arguments or (len(arguments) == 2 and arguments[0] == "--model"):
            # Not through the command line's parser: it costs time before the first frame.
            from edgetui.open_app import open_app

            sys.exit(open_app(arguments[1] if arguments else None))
        from edgetui.cli import run_command_line

        sys.exit(run_command_line(arguments))
    except EdgetuiError as error:
        from edgetui.core.plain_text import plain_line

        print(f"edgetui: {plain_line(str(error))}", file=sys.stderr)
        sys.exit(2 if error.failure.kind in ("bad_settings", "bad_request") else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _report_fault(error)
        sys.exit(1)


def _mend_streams() -> None:
    """Replace what the shell closed (`>&-`), and let no character that a stream cannot take end a command."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number: this one, since those below it are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _report_fault(error: Exception) -> None:
    from edgetui.config import Settings, default_config_file, resolve_paths
    from edgetui.core.failures import EdgetuiError
    from edgetui.crash_log import log_crash

    try:
        log = log_crash(resolve_paths(Settings(), default_config_file()).log_dir, error)
    except EdgetuiError as unusable:
        print(f"edgetui: {unusable}", file=sys.stderr)
        return
    print(f"edgetui: This met a fault of edgetui's own ({type(error).__name__}); {log} says which.", file=sys.stderr)


if __name__ == "__main__":
    main()
