"""Settings (one TOML file, checked at start) and the folders edgetui keeps its things in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.units import GIB

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

HOME_VARIABLE = "EDGETUI_HOME"
"""When set, every folder and the settings file live under this one folder."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may set in `settings.toml`; anything left out keeps its default."""

    models_dir: str = ""
    """Folder of GGUF files, searched with all below it; empty takes edgetui's own data folder."""
    extra_model_dirs: tuple[str, ...] = ()
    """More folders to search; never written to."""
    theme: str = ""
    """Name of a Textual theme, such as `textual-light`; empty takes the default."""
    frames_per_second: Annotated[int, Meta(ge=0, le=30)] = 0
    """Most repaints a second while tokens stream; 0 takes many where a processor is free, few where none is."""
    disk_headroom_bytes: Annotated[int, Meta(ge=0)] = GIB
    """Free space that must remain on a disk after a file is written to it."""
    downloads_at_once: Annotated[int, Meta(ge=1, le=16)] = 2
    """So many downloads run side by side; further ones wait."""
    download_bytes_per_s: Annotated[int, Meta(ge=0)] = 0
    """Limit for each download on a shared link; 0 for none."""
    hub_endpoint: str = ""
    """Address of the hub where HF_ENDPOINT names none."""
    hub_cache: str = ""
    """The hub's cache where neither HF_HUB_CACHE nor HF_HOME names one."""
    hub_offline: bool = False
    """Ask nothing of the hub, as HF_HUB_OFFLINE does."""
    toolchain_index: str = ""
    """Address of a further package index for toolchains, such as one of PyTorch's CPU builds."""
    system_prompt: str = ""
    """System message of a new conversation."""
    load: LoadSettings = LoadSettings()
    """How models are loaded unless a screen or an option says otherwise."""
    sampling: SamplingSettings = SamplingSettings()
    """How tokens are chosen unless a screen or an option says otherwise."""


@dataclass(frozen=True)
class Paths:
    """Where edgetui reads and writes; nothing is created before it is needed."""

    config_file: Path
    """The settings file."""
    data_dir: Path
    """What a person would miss: models."""
    models_dir: Path
    """Where models are looked for and quantized files are put."""
    state_dir: Path
    """What edgetui remembers: jobs, history, logs."""

    @property
    def jobs_dir(self) -> Path:
        """One folder a job."""
        return self.state_dir / "jobs"

    @property
    def toolchains_dir(self) -> Path:
        """One environment a toolchain."""
        return self.data_dir / "toolchains"

    @property
    def database(self) -> Path:
        """SQLite: index of jobs, history of measurements, provenance."""
        return self.state_dir / "edgetui.db"

    @property
    def baselines_dir(self) -> Path:
        """Logits of unquantized models, which builds of them are compared with."""
        return self.state_dir / "logits"

    @property
    def traces_dir(self) -> Path:
        """Traces of profiled sessions of ONNX Runtime."""
        return self.state_dir / "traces"

    @property
    def prompt_cache_dir(self) -> Path:
        """KV caches of conversations, kept between loads when a person asks for that."""
        return self.state_dir / "prompt-caches"

    @property
    def log_dir(self) -> Path:
        """Logs of the app and of session workers."""
        return self.state_dir / "logs"


def default_config_file(environ: Mapping[str, str] | None = None) -> Path:
    """The settings file that is read when none is named."""
    environ = os.environ if environ is None else environ
    if home := environ.get(HOME_VARIABLE):
        return Path(os.path.expanduser(home)).absolute() / "settings.toml"
    import platformdirs

    return platformdirs.user_config_path("edgetui") / "settings.toml"


def resolve_paths(
    settings: Settings, config_file: Path | None = None, environ: Mapping[str, str] | None = None
) -> Paths:
    """The folders for these settings, absolute."""
    environ = os.environ if environ is None else environ
    if home := environ.get(HOME_VARIABLE):
        base = Path(os.path.expanduser(home)).absolute()
        data_dir, state_dir = base / "data", base / "state"
    else:
        import platformdirs

        data_dir = platformdirs.user_data_path("edgetui")
        state_dir = platformdirs.user_state_path("edgetui")
    named = settings.models_dir
    models_dir = Path(os.path.expanduser(named)).absolute() if named else data_dir / "models"
    return Paths(config_file or default_config_file(environ), data_dir, models_dir, state_dir)


def share_hub_settings(settings: Settings, environ: MutableMapping[str, str]) -> None:
    """Let the settings of the hub stand where the environment says nothing.

    huggingface_hub, in this process and in workers, takes them from its variables alone.
    """
    if settings.hub_endpoint:
        environ.setdefault("HF_ENDPOINT", settings.hub_endpoint)
    if settings.hub_cache and not environ.get("HF_HOME"):
        environ.setdefault("HF_HUB_CACHE", os.path.expanduser(settings.hub_cache))
    if settings.hub_offline:
        environ.setdefault("HF_HUB_OFFLINE", "1")


def load_settings(path: Path) -> Settings:
    """Read and check the settings file; a file that does not exist gives the defaults.

    Raises `EdgetuiError("bad_settings")`, naming file, line and key, for anything that cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise EdgetuiError(
            "bad_settings", f"The settings file {path} cannot be read ({reason}); mend it or move it away."
        ) from error
    import tomlkit
    from tomlkit.exceptions import ParseError

    try:
        values = tomlkit.parse(text).unwrap()
    except ParseError as error:
        raise EdgetuiError(
            "bad_settings",
            f"The settings file {path} is not valid TOML at line {error.line}: mend that line or move the file away.",
            detail=str(error),
        ) from error
    except ValueError as error:
        raise EdgetuiError(
            "bad_settings", f"The settings file {path} is not valid TOML ({error}); mend it or move it away."
        ) from error
    _reject_unknown(path, text, values, Settings, ())
    try:
        return msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        keys = tuple(part for part in where.rstrip("`").replace("[...]", "").split(".") if part)
        name = ".".join(keys) or "a value"
        raise EdgetuiError(
            "bad_settings",
            f"The settings file {path}{_line_of(text, keys)} has a value that cannot be used for {name}:"
            f" {_in_plain_words(reason)}.",
            detail=str(error),
        ) from error


def _reject_unknown(
    path: Path, text: str, values: Mapping[str, Any], struct: type[msgspec.Struct], above: tuple[str, ...]
) -> None:
    """Name the first key that means nothing, with the closest one that does."""
    nested: dict[str, type[msgspec.Struct]] = {"load": LoadSettings, "sampling": SamplingSettings}
    known = struct.__struct_fields__
    for key, value in values.items():
        if key not in known:
            import difflib

            close = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {close[0]}?" if close else f"known keys are {', '.join(known)}."
            keys = (*above, key)
            raise EdgetuiError(
                "bad_settings",
                f"The settings file {path}{_line_of(text, keys)} has an unknown key {'.'.join(keys)}; {advice}",
            )
        if not above and key in nested and isinstance(value, dict):
            _reject_unknown(path, text, value, nested[key], (key,))


def _line_of(text: str, keys: tuple[str, ...]) -> str:
    """`, line 3,` for the first line that sets the last of `keys`, or nothing when it cannot be told."""
    if not keys:
        return ""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = stripped.strip("[] ")
            if table == ".".join(keys):
                return f", line {number},"
        name = stripped.split("=", 1)[0].strip().strip("\"'")
        if name == ".".join(keys) or (name == keys[-1] and table == ".".join(keys[:-1])):
            return f", line {number},"
    return ""


def _in_plain_words(reason: str) -> str:
    """msgspec's sentence without its backticks and capital."""
    plain = reason.replace("`", "")
    return plain[:1].lower() + plain[1:]
