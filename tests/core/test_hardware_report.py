"""A report for others holds no name, address or serial number."""

from __future__ import annotations

import pytest

from edgetui.core.hardware_report import LEFT_OUT, markdown, redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/maria/models on /", "~/models on /"),
        ("/media/maria/MARIAS STICK: 1 GiB free", f"/media/{LEFT_OUT}: 1 GiB free"),
        ("/run/media/maria/DISK", f"/media/{LEFT_OUT}"),
        ("hid-04:7b:cb:aa:bb:cc battery", f"hid-{LEFT_OUT} battery"),
        ("board-1 of pi in a pipeline", f"{LEFT_OUT} of {LEFT_OUT} in a pipeline"),
        ("//10.0.0.7/share", f"//{LEFT_OUT}/share"),
        ("id 123e4567-e89b-12d3-a456-426614174000", f"id {LEFT_OUT}"),
        ("Linux 6.6.51+rpt-rpi-2712, glibc 2.36", "Linux 6.6.51+rpt-rpi-2712, glibc 2.36"),
        ("0000:03:00.0 amdgpu", "0000:03:00.0 amdgpu"),
    ],
)
def test_what_names_a_person_or_a_machine_is_left_out(text: str, expected: str) -> None:
    assert redact(text, ("board-1", "pi")) == expected


def test_placeholders_that_stand_for_no_name_take_nothing_away() -> None:
    assert redact("none of 0 at localhost", ("none", "(none)", "0", "localhost", "")) == "none of 0 at localhost"


def test_a_table_shows_text_from_outside_as_it_is() -> None:
    report = markdown("Machine", [("GPU", "a|b <script> [x](y) *z*"), ("", "second\x1b[31m"), ("CPU", "x86_64")], ())
    assert report.splitlines() == [
        "## Machine",
        "",
        "| what | found |",
        "|---|---|",
        "| GPU | a\\|b &lt;script&gt; \\[x\\](y) \\*z\\*<br>second\N{SYMBOL FOR ESCAPE}\\[31m |",
        "| CPU | x86_64 |",
    ]
