"""Installing, removing and proving toolchains through the services, over real environments."""

from __future__ import annotations

from pathlib import Path

from edgetui.services.lab import Lab


async def test_an_installed_toolchain_is_listed_as_ready(toolchain_lab: Lab, mlx_toolchain: Path) -> None:
    status = await toolchain_lab.toolchains.status("mlx")
    assert (status.state, status.mark is not None) == ("ready", True)
    assert mlx_toolchain.samefile(status.folder)
