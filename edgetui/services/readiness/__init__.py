"""The readiness checklist: what is installed and works here, each line with what to do about it."""

from __future__ import annotations

from edgetui.services.readiness.checklist import Readiness

__all__ = ["Readiness"]
