"""What `edgetui bench` understands: llama-bench's comma-separated lists, and settings of one side as `name=value`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchSettings
    from edgetui.core.bench_matrix import Matrix

_SWITCHES = {
    "0": "off", "1": "on", "false": "off", "true": "on", "disabled": "off", "enabled": "on", "no": "off", "yes": "on",
}  # fmt: skip
"""llama-bench's spellings of on and off, and everyone's."""
_SIDE_NAMES = {
    "t": "threads",
    "b": "batch_tokens",
    "batch": "batch_tokens",
    "ub": "physical_batch_tokens",
    "ubatch": "physical_batch_tokens",
    "kv": "kv_cache_type",
    "ctk": "kv_cache_type",
    "ctv": "kv_cache_type_v",
    "fa": "flash_attention",
    "ngl": "gpu_layers",
    "mmp": "use_mmap",
    "mmap": "use_mmap",
}
"""Short names beside the settings' own."""
_TESTS_OF_A_STUDY = {
    "--soak": ("depth_tokens",),
    "--ab": ("prompt_tokens", "generated_tokens", "prompt_and_generated", "depth_tokens"),
    "--load-time": (),
    "--ttft": ("prompt_tokens",),
}
"""Lists of tests of which a study takes one; a load it has one of as well, but for the time to the first token."""
_WHOLE = ("threads", "batch_tokens", "physical_batch_tokens", "gpu_layers")


def thread_counts(text: str) -> tuple[int, ...]:
    """`1,2` as numbers of threads; raises `EdgetuiError("bad_request")`."""
    words_ = text.split(",")
    if not all(word.strip().isdecimal() and len(word) < 10 for word in words_):
        raise EdgetuiError("bad_request", f"-t takes a number of threads such as 4, or a list 1,2, and not {text!r}.")
    return tuple(int(word) for word in words_)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """`128,512` as numbers; raises `EdgetuiError("bad_request")`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise EdgetuiError(
            "bad_request", f"{option} takes whole numbers separated by commas, such as 128,512, and not {text!r}."
        ) from error


def words(text: str) -> tuple[str, ...]:
    """`f16,q8_0` as words."""
    return tuple(part.strip() for part in text.split(","))


def switches(text: str) -> tuple[str, ...]:
    """`on`, `off`, `auto`, or llama-bench's 0 and 1."""
    return tuple(_SWITCHES.get(word.lower(), word.lower()) for word in words(text))


def on_or_off(text: str, option: str) -> tuple[bool, ...]:
    """`on`, `off`, or another spelling of them; raises `EdgetuiError("bad_request")`."""
    return tuple(word == "on" for word in _switches_of(text, option, ("on", "off"), "on or off, or both with a comma"))


def mapping(text: str, option: str) -> tuple[bool | None, ...]:
    """`on`, `off` or `auto`, which is None; raises `EdgetuiError("bad_request")`."""
    found = _switches_of(text, option, ("on", "off", "auto"), "on, off or auto, or a list of them")
    return tuple(None if word == "auto" else word == "on" for word in found)


def _switches_of(text: str, option: str, known: tuple[str, ...], said: str) -> tuple[str, ...]:
    found = switches(text)
    if not set(found) <= set(known):
        raise EdgetuiError("bad_request", f"{option} takes {said}, and not {text!r}.")
    return found


def pair(text: str) -> tuple[int, int]:
    """`512,128`: prompt and generated tokens."""
    found = numbers(text, "-pg")
    if len(found) != 2:
        raise EdgetuiError("bad_request", f"-pg takes a prompt and a generation, such as 512,128, and not {text!r}.")
    return found[0], found[1]


def percent(text: str) -> float:
    """`2%` or `2`; raises `EdgetuiError("bad_request")`."""
    return _number(text.removesuffix("%"), "--until takes a percentage, such as 2%", text)


def seconds(text: str, option: str) -> float:
    """`90`, `60s`, `5m` or `1h`; raises `EdgetuiError("bad_request")`."""
    factor = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
    value = _number(text[:-1] if factor else text, f"{option} takes a duration, such as 60s or 5m", text)
    return value * (factor or 1)


def matrix(values: dict[str, Any]) -> Matrix:
    """A matrix of these fields; raises `EdgetuiError("bad_request")` for what cannot be."""
    from edgetui.core.bench_matrix import Matrix
    from edgetui.core.setting_values import converted

    return converted(values, Matrix)


def require_single(matrix: Matrix, study: str) -> None:
    """Raise `EdgetuiError("bad_request")` for several values of which a study would take one without a word."""
    from edgetui.core.bench_matrix import VARIED

    for name in (*_TESTS_OF_A_STUDY[study], *(() if study == "--ttft" else VARIED)):
        if len(getattr(matrix, name)) > 1:
            raise EdgetuiError(
                "bad_request", f"{study} takes one value for {name.replace('_', ' ')}: give one of them at a time."
            )


def side_settings(words_: str, start: BenchSettings) -> BenchSettings:
    """`threads=2,fa=on` over `start`; raises `EdgetuiError("bad_request")`."""
    import msgspec

    from edgetui.core.bench import BenchSettings
    from edgetui.core.bench_matrix import VARIED
    from edgetui.core.setting_values import converted

    changes: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in words_.split(","))):
        name, sign, value = part.partition("=")
        field = _SIDE_NAMES.get(name.strip(), name.strip().replace("-", "_"))
        if not sign or field not in VARIED:
            raise EdgetuiError(
                "bad_request",
                f"A side's settings are name=value, and {part!r} is none: names are {', '.join(VARIED)}.",
            )
        value = value.strip()
        if field in _WHOLE:
            changes[field] = numbers(value, field.replace("_", " "))[0]
        elif field == "use_mmap":
            changes[field] = mapping(value, "mmap")[0]
        elif field == "huge_pages":
            changes[field] = on_or_off(value, "huge-pages")[0]
        else:
            changes[field] = switches(value)[0] if field == "flash_attention" else value
    return converted({**msgspec.structs.asdict(start), **changes}, BenchSettings)


def _number(text: str, rule: str, given: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise EdgetuiError("bad_request", f"{rule}, and not {given!r}.")
    return value


def noise_lines(records: Sequence[Any]) -> list[str]:
    """What speaks against rows just measured: a noisy machine, repetitions far off."""
    from edgetui.core.bench_noise import noise_of

    lines = []
    for record in records:
        row = record.row
        if noise := noise_of(row):
            lines.append(f"{row.name} is noisy: {noise}.")
        if row.outliers:
            places = ", ".join(str(place + 1) for place in row.outliers)
            lines.append(f"{row.name}: repetition {places} of {len(row.samples_ns)} lies far from the median.")
    return lines
