"""Opening the app; beside the command line and not in it, whose parser would be imported before the first frame."""

from __future__ import annotations

import sys

from edgetui.core.failures import EdgetuiError


def open_app(model: str | None) -> int:
    """Open the app, on `model` when one is named; returns the exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise EdgetuiError(
            "bad_request",
            "The app needs a terminal on its input and output; use a command here instead (edgetui --help).",
        )
    from edgetui.services.lab import Lab

    lab = Lab()
    from edgetui.app import EdgetuiApp

    return EdgetuiApp(lab, open_model=model).run_to_exit()
