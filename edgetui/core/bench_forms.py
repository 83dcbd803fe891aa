"""What the dialogs of the Bench screen ask for, one struct a workload, and the settings that come of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.bench_matrix import Matrix, told_setting
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import KV_CACHE_TYPES, KvCacheType
from edgetui.core.studies import AbSettings, Goal, LoadTimeSettings, SoakSettings, TuneSettings
from edgetui.core.units import counted

Flash = Literal["auto", "on", "off"]
_KV = f"({'|'.join(KV_CACHE_TYPES)})"
Threads = Annotated[int, Meta(ge=0, le=1024)]
Numbers = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]{1,9}([ ,]+-?[0-9]{1,9})*$",
        description="write whole numbers with commas or blanks between, such as 1,2,4",
    ),
]
"""Whole numbers with commas or blanks between; forms say the description of what does not match."""
KvTypes = Annotated[
    str,
    Meta(
        pattern=rf"^{_KV}([ ,]+{_KV})*$",
        description=f"choose of {' '.join(KV_CACHE_TYPES)}, with commas between, such as f16,q8_0",
    ),
]
Flashes = Annotated[
    str,
    Meta(
        pattern=r"^(auto|on|off)([ ,]+(auto|on|off))*$",
        description="choose of auto on off, with commas between, such as on,off",
    ),
]


Maps = Annotated[
    str,
    Meta(
        pattern=r"^(true|false|auto)([ ,]+(true|false|auto))*$",
        description="choose of true false auto, with commas between, such as true,auto",
    ),
]
Switches = Annotated[
    str,
    Meta(
        pattern=r"^(true|false)([ ,]+(true|false))*$",
        description="write true, false, or both with a comma between",
    ),
]
_TRUTHS = {"true": True, "false": False, "auto": None}
"""What words of `Maps` and `Switches` stand for."""


class MatrixForm(msgspec.Struct, frozen=True, kw_only=True):
    """Lists of values; every combination is measured."""

    prompt_tokens: Numbers = "512"
    generated_tokens: Numbers = "128"
    depth_tokens: Numbers = "0"
    threads: Numbers = "0"
    batch_tokens: Numbers = "2048"
    physical_batch_tokens: Numbers = "512"
    kv_cache_type: KvTypes = "f16"
    flash_attention: Flashes = "auto"
    gpu_layers: Numbers = "-1"
    use_mmap: Maps = "true"
    huge_pages: Switches = "false"
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 5

    def matrix(self) -> Matrix:
        """Raises `EdgetuiError("bad_request")` for a word that no setting has."""
        words = {
            name: [
                _TRUTHS.get(word, word) if name in ("use_mmap", "huge_pages") else _value(word)
                for word in str(value).replace(",", " ").split()
            ]
            for name, value in msgspec.structs.asdict(self).items()
            if name != "repetitions"
        }
        try:
            return msgspec.convert({**words, "repetitions": self.repetitions}, Matrix)
        except msgspec.ValidationError as error:
            reason, _, where = str(error).replace("`", "").partition(" - at $.")
            raise EdgetuiError(
                "bad_request",
                f"The values for {where.split('[')[0].replace('_', ' ')} cannot be used:"
                f" {reason[:1].lower()}{reason[1:]}.",
            ) from error


class TtftForm(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts of growing length."""

    longest_tokens: Annotated[int, Meta(ge=16, le=1_048_576)] = 1024
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 3
    threads: Threads = 0
    batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 2048
    kv_cache_type: KvCacheType = "f16"

    @property
    def settings(self) -> BenchSettings:
        """All but the lengths."""
        return BenchSettings(
            depth_tokens=self.depth_tokens,
            repetitions=self.repetitions,
            threads=self.threads,
            batch_tokens=self.batch_tokens,
            kv_cache_type=self.kv_cache_type,
        )


class SoakForm(msgspec.Struct, frozen=True, kw_only=True):
    """Decode for minutes."""

    duration_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    sample_s: Annotated[float, Meta(ge=0.05, le=60)] = 1.0
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    threads: Threads = 0
    kv_cache_type: KvCacheType = "f16"

    @property
    def settings(self) -> SoakSettings:
        """As the service takes them."""
        return SoakSettings(
            duration_s=self.duration_s,
            sample_s=self.sample_s,
            depth_tokens=self.depth_tokens,
            settings=BenchSettings(threads=self.threads, kv_cache_type=self.kv_cache_type),
        )


class LoadForm(msgspec.Struct, frozen=True, kw_only=True):
    """Loads from the disk and from memory."""

    repetitions: Annotated[int, Meta(ge=1, le=100)] = 3
    threads: Threads = 0
    use_mmap: bool | None = True
    """None decides as a chat does."""
    huge_pages: bool = False

    @property
    def settings(self) -> LoadTimeSettings:
        """As the service takes them."""
        return LoadTimeSettings(
            repetitions=self.repetitions,
            settings=BenchSettings(threads=self.threads, use_mmap=self.use_mmap, huge_pages=self.huge_pages),
        )


_SIDE = ("threads", "kv_cache_type", "flash_attention", "batch_tokens", "use_mmap", "huge_pages")
"""Settings that each side of an A/B has a field for."""


class AbForm(msgspec.Struct, frozen=True, kw_only=True):
    """Two sides, alternately."""

    model_b: str = ""
    prompt_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    generated_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 64
    blocks: Annotated[int, Meta(ge=2, le=500)] = 5
    threads_a: Threads = 0
    threads_b: Threads = 0
    kv_cache_type_a: KvCacheType = "f16"
    kv_cache_type_b: KvCacheType = "f16"
    flash_attention_a: Flash = "auto"
    flash_attention_b: Flash = "auto"
    batch_tokens_a: Annotated[int, Meta(ge=1, le=65_536)] = 2048
    batch_tokens_b: Annotated[int, Meta(ge=1, le=65_536)] = 2048
    use_mmap_a: bool | None = True
    use_mmap_b: bool | None = True
    huge_pages_a: bool = False
    huge_pages_b: bool = False

    @property
    def settings(self) -> AbSettings:
        """As the service takes them."""
        return AbSettings(test=BenchTest(self.prompt_tokens, self.generated_tokens), blocks=self.blocks)

    def side(self, which: Literal["a", "b"]) -> BenchSettings:
        """How that side is loaded."""
        return msgspec.convert({name: getattr(self, f"{name}_{which}") for name in _SIDE}, BenchSettings)

    def differing(self, which: Literal["a", "b"]) -> str:
        """What tells that side from the other, in words; empty where only the models differ."""
        return ", ".join(
            counted(value, "thread") if name == "threads" else told_setting(name, value)
            for name in _SIDE
            for value in (getattr(self, f"{name}_{which}"),)
            if getattr(self, f"{name}_a") != getattr(self, f"{name}_b")
        )


class TuneForm(msgspec.Struct, frozen=True, kw_only=True):
    """The fastest settings within a budget."""

    goal: Goal = "decode"
    budget_s: Annotated[float, Meta(ge=5, le=86_400)] = 120.0
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    allow_kv_types: bool = False
    save_profile: bool = True

    @property
    def settings(self) -> TuneSettings:
        """As the service takes them."""
        return TuneSettings(**msgspec.structs.asdict(self))


def _value(word: str) -> int | str:
    return int(word) if word.lstrip("-").isdigit() else word
