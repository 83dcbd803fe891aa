"""What this machine is and does now: one module a probe, all reading through one injectable root."""

from __future__ import annotations

from edgetui.services.hardware.monitor import HardwareMonitor

__all__ = ["HardwareMonitor"]
