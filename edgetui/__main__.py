"""Entry of `edgetui`: no arguments open the app at once; anything else goes to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run edgetui with this process's arguments and exit with its status."""
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


def _report_fault(error: Exception) -> None:
    from edgetui.config import Settings, default_config_file, resolve_paths
    from edgetui.crash_log import log_crash

    log = log_crash(resolve_paths(Settings(), default_config_file()).log_dir, error)
    print(f"edgetui: This met a fault of edgetui's own ({type(error).__name__}); {log} says which.", file=sys.stderr)


if __name__ == "__main__":
    main()
