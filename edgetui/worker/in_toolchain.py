"""`TOOLCHAIN_PYTHON in_toolchain.py MODULE [ARGUMENT...]`: runs one of our modules in a toolchain's environment.

Only the package `edgetui` itself is shown to it: on a search path, whatever else stands beside edgetui would hide the
packages that the toolchain was installed with.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Make `edgetui` importable from where this file stands, then run the module."""
    package = Path(__file__).resolve().parent.parent
    # A script's own folder comes first on the path, and ours has modules with names of the standard library's kind.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != package / "worker"]
    spec = importlib.util.spec_from_file_location(
        "edgetui", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["edgetui"] = module
    spec.loader.exec_module(module)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
