"""What every request says of itself, for lists of jobs and for the process that does it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from edgetui.core.jobs import JobKind


class Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """Base of every request; the class name is its tag."""

    KIND: ClassVar[JobKind]
    GOES_ON: ClassVar[bool] = False
    """Whether a run that fails, is paused or killed leaves what the next one goes on with."""
    MEASURES: ClassVar[bool] = False
    """Whether it times something: then it does not yield to other processes."""

    @property
    def kind(self) -> JobKind:
        """What lists call it."""
        return self.KIND

    @property
    def subject(self) -> str:
        """Name of what it works on, such as a model."""
        raise NotImplementedError

    @property
    def goal(self) -> str:
        """What it shall make, in a word or two."""
        raise NotImplementedError

    @property
    def output(self) -> str | None:
        """Path of what it makes, where that is known before."""
        return None

    @property
    def toolchain(self) -> str:
        """Name of the environment whose interpreter runs it; empty for edgetui's own."""
        return ""

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """Files or folders under hidden names that are removed when the job does not end well."""
        return () if self.output is None else (hidden_beside(Path(self.output), job_id),)


def hidden_beside(target: Path, job_id: str) -> Path:
    """Where a job writes before its file or folder is complete: beside the target, under a hidden name."""
    # The whole name must stay below what file systems allow.
    name = target.name.encode()[:200].decode("utf-8", "ignore")
    return target.with_name(f".{name}.{job_id}.part")
