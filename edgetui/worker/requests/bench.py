"""Measurements of speed, by any engine."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.bench import BenchSettings, Machine, tests_of
from edgetui.core.jobs import JobKind
from edgetui.core.models import ModelFormat
from edgetui.core.studies import AbSettings, BenchSide, LoadTimeSettings, SoakSettings, TuneSettings
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.core.units import counted
from edgetui.worker.requests.base import Request


class BenchRequest(Request, frozen=True, kw_only=True):
    """Measure tests of a model in llama-bench's terms."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    model: str
    """Path of the file."""
    model_name: str
    settings: BenchSettings
    machine: Machine = Machine()
    model_format: ModelFormat = "gguf"
    fingerprint: str = ""
    """By which the model's content is known again."""

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.model_format]

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model_name

    @property
    def goal(self) -> str:
        """The tests, such as `pp512 tg128`."""
        return " ".join(test.name for test in tests_of(self.settings))


class MatrixRequest(Request, frozen=True, kw_only=True):
    """Measure cells one after another, each in a process of its own; one that fails does not stop the others."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    cells: tuple[BenchRequest, ...]

    @property
    def subject(self) -> str:
        """The models."""
        return ", ".join(dict.fromkeys(cell.model_name for cell in self.cells))

    @property
    def goal(self) -> str:
        """How many combinations."""
        return f"{counted(len(self.cells), 'setting')}"


class _SideRequest(Request, frozen=True, kw_only=True):
    """Base of what measures one model in a process that the job starts."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    side: BenchSide
    machine: Machine = Machine()

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.side.model_name


class SoakRequest(_SideRequest, frozen=True, kw_only=True):
    """Decode for minutes, and look at the machine beside it."""

    settings: SoakSettings

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.side.model_format]

    @property
    def goal(self) -> str:
        """How long."""
        return f"soak {self.settings.duration_s:g} s"


class TuneRequest(_SideRequest, frozen=True, kw_only=True):
    """Look for the fastest settings of a model here."""

    settings: TuneSettings
    profile_model: str = ""
    """The model as profiles know it; empty saves none."""
    profile_machine: str = ""
    """The machine as profiles know it."""

    @property
    def goal(self) -> str:
        """What for."""
        return f"autotune {self.settings.goal}"


class LoadTimeRequest(_SideRequest, frozen=True, kw_only=True):
    """Load a model again and again, from the disk and from memory."""

    settings: LoadTimeSettings

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.side.model_format]

    @property
    def goal(self) -> str:
        """What is measured."""
        return "load time"


class AbRequest(Request, frozen=True, kw_only=True):
    """Measure two sides alternately."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    a: BenchSide
    b: BenchSide
    settings: AbSettings
    machine: Machine = Machine()

    @property
    def subject(self) -> str:
        """Both models, once where they are the same."""
        return " | ".join(dict.fromkeys((self.a.model_name, self.b.model_name)))

    @property
    def goal(self) -> str:
        """The test."""
        return f"A/B {self.settings.test.name}"
