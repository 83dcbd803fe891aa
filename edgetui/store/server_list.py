"""The servers that a person has named, in `servers.toml` beside the settings: addresses only, never a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.servers import ServerEndpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ServerList:
    """Reads and writes the file; what is wrong with it is said with its name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[ServerEndpoint, ...]:
        """In the order of the file; raises `EdgetuiError("bad_settings")`."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise self._unusable(f"cannot be read ({reason})") from error
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            told: Any = tomlkit.parse(text).unwrap()
            return tuple(msgspec.convert(told.get("server", []), list[ServerEndpoint]))
        except TOMLKitError as error:
            raise self._unusable("is not valid TOML") from error
        except msgspec.ValidationError as error:
            raise self._unusable(f"has an entry that cannot be used ({str(error).replace('`', '')})") from error

    def write(self, endpoints: Sequence[ServerEndpoint]) -> None:
        """Replace the file at once; raises `EdgetuiError("no_permission")`."""
        import tomlkit

        document = tomlkit.document()
        document.add(tomlkit.comment("Servers that edgetui asks; a key goes into a variable or the keyring, not here."))
        entries = tomlkit.aot()
        for endpoint in endpoints:
            table = tomlkit.table()
            defaults = ServerEndpoint(name="x", url="http://x")
            for field in ServerEndpoint.__struct_fields__:
                value = getattr(endpoint, field)
                if field in ("name", "url") or value != getattr(defaults, field):
                    table.add(field, value)
            entries.append(table)
        document.add("server", entries)
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(tomlkit.dumps(document), encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise EdgetuiError(
                "no_permission", f"The file {self._path} cannot be written ({error.strerror}): make it writable."
            ) from error

    def _unusable(self, why: str) -> EdgetuiError:
        return EdgetuiError("bad_settings", f"The file of servers {self._path} {why}: mend it or move it away.")
