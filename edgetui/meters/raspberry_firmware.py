"""What a Raspberry Pi's firmware tells through vcgencmd, asked every few seconds at most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, known, unknown
from edgetui.meters.source import MachineSource, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

ASK_AGAIN_S = 5.0
"""Each question starts a process and stops at the firmware's mailbox."""
_ASK_AGAIN_AFTER_FAILURE_S = 60.0
"""A tool that is missing or hangs must not hold up every sample."""
_FLAGS_FOLDER = "/sys/devices/platform"
_NOT_OURS = unknown("this is no Raspberry Pi")


class RaspberryFirmware:
    """Answers of the firmware; without a process or a read where the board is another one."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._answers: dict[str, tuple[float, Reading[str]]] = {}
        self._is_pi: bool | None = None
        self._flags_path: str | None = None

    @property
    def is_present(self) -> bool:
        """Whether the device tree names a Raspberry Pi."""
        if self._is_pi is None:
            self._is_pi = "raspberrypi," in (self._source.text("/proc/device-tree/compatible").value or "")
            if self._is_pi:
                self._flags_path = self._find_flags()
        return self._is_pi

    def throttled(self) -> Reading[int]:
        """The bits of `get_throttled`: 0 to 3 now, 16 to 19 since boot."""
        if not self.is_present:
            return _NOT_OURS
        text = self._remembered("flags", self._ask_flags)
        if text.value is None:
            return unknown(text.reason)
        return attempt(lambda: known(int((text.value or "").rpartition("=")[2], 16)))

    def rails(self) -> Reading[str]:
        """What `vcgencmd pmic_read_adc` prints, on boards whose power chip can measure (from the Pi 5 on)."""
        return (
            self._remembered("pmic_read_adc", lambda: self._command("pmic_read_adc")) if self.is_present else _NOT_OURS
        )

    def _ask_flags(self) -> Reading[str]:
        if self._flags_path is not None:
            return self._source.text(self._flags_path)
        return self._command("get_throttled")

    def _command(self, question: str) -> Reading[str]:
        answer = self._source.command("vcgencmd", question)
        if answer.value is None and ("vcio" in answer.reason or "VCHI" in answer.reason):
            return unknown("vcgencmd may not open /dev/vcio: sudo usermod -aG video $USER, then log in again")
        return answer

    def _remembered(self, question: str, ask: Callable[[], Reading[str]]) -> Reading[str]:
        now = self._clock()
        before = self._answers.get(question)
        if before is not None:
            rest = _ASK_AGAIN_AFTER_FAILURE_S if before[1].value is None else ASK_AGAIN_S
            if now - before[0] < rest:
                return before[1]
        answer = ask()
        self._answers[question] = (now, answer)
        return answer

    def _find_flags(self) -> str | None:
        """`soc/soc:firmware` up to the Pi 4; the Pi 5's name carries the bus address."""
        for bus in self._source.names(_FLAGS_FOLDER):
            path = f"{_FLAGS_FOLDER}/{bus}/{bus}:firmware/get_throttled"
            if bus.startswith("soc") and self._source.exists(path):
                return path
        return None
