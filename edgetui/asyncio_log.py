"""What asyncio has to say of its own is kept in the log: a person's terminal shows edgetui's sentences alone."""

from __future__ import annotations

import logging


class _ToLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Append it to the app's log; settings that cannot be read name no log, and then it is dropped."""
        from edgetui.config import Settings, default_config_file, resolve_paths
        from edgetui.core.failures import EdgetuiError
        from edgetui.crash_log import log_text

        try:
            log_text(resolve_paths(Settings(), default_config_file()).log_dir, f"asyncio: {self.format(record)}")
        except EdgetuiError:
            return


def keep_asyncio_in_log() -> None:
    """Have asyncio's warnings, such as of a child that it lost, in a file; without a handler they go to stderr."""
    logger = logging.getLogger("asyncio")
    if not any(isinstance(handler, _ToLog) for handler in logger.handlers):
        logger.addHandler(_ToLog(logging.WARNING))
        logger.propagate = False
