"""`python -m edgetui.worker.toolchain_self_test NAME FOLDER`: proves a toolchain, and prints one line of JSON.

It runs in that toolchain's environment, and may fill the folder.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import msgspec

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.engines.toolchain_proofs import proof_of
from edgetui.worker.process_end import die_with_parent
from edgetui.worker.protocol import Proved


def main() -> None:
    """Entry of the process."""
    die_with_parent()
    name, folder = sys.argv[1:]
    try:
        proved = Proved(found=proof_of(name)(Path(folder)))
    except EdgetuiError as error:
        proved = Proved(failure=error.failure)
    except Exception as error:
        # Whatever a package raises that was changed by hand: it is broken, and its own words say where.
        said = " ".join(str(error).split()) or "without a word"
        sentence = f"{type(error).__name__}: {said[:200]}"
        proved = Proved(failure=Failure("crashed", sentence, traceback.format_exc()))
    sys.stdout.write("\n" + msgspec.json.encode(proved).decode() + "\n")


if __name__ == "__main__":
    main()
