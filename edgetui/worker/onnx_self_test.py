"""`python -m edgetui.worker.onnx_self_test`: proves ONNX Runtime in a process of its own; prints one line of JSON."""

from __future__ import annotations

import sys

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.worker.protocol import Proved


def main() -> None:
    """Entry of the process."""
    from edgetui.engines.onnx_runtime.self_test import prove_providers

    try:
        proved = Proved(found=prove_providers())
    except EdgetuiError as error:
        proved = Proved(failure=error.failure)
    sys.stdout.write("\n" + msgspec.json.encode(proved).decode() + "\n")


if __name__ == "__main__":
    main()
