"""The options of `edgetui run`: their help, and the settings that they, a profile and a preset make together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgetui.cli.overrides import override
from edgetui.core.run_field_text import adapters_from, read_constraint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import LoadSettings, SamplingSettings
    from edgetui.services.lab import Lab

System = Annotated[str | None, typer.Option(help="System prompt.")]
Profile = Annotated[str | None, typer.Option(help="Settings saved for this model on this machine under a name.")]
Preset = Annotated[str | None, typer.Option(help="Samplers that go together: greedy, precise, balanced, creative...")]
MostTokens = Annotated[int | None, typer.Option("-n", "--max-tokens", help="Most tokens to generate.")]
Temperature = Annotated[float | None, typer.Option(help="0 is greedy.")]
TopK = Annotated[int | None, typer.Option(help="0 switches it off.")]
TopP = Annotated[float | None, typer.Option(help="1 switches it off.")]
MinP = Annotated[float | None, typer.Option(help="0 switches it off.")]
RepeatPenalty = Annotated[float | None, typer.Option(help="1 switches it off.")]
RepeatLast = Annotated[int | None, typer.Option(help="Tokens the repeat penalty looks back.")]
PresencePenalty = Annotated[float | None, typer.Option(help="0 switches it off.")]
FrequencyPenalty = Annotated[float | None, typer.Option(help="0 switches it off.")]
Seed = Annotated[int | None, typer.Option(help="Same seed and settings, same answer.")]
Stop = Annotated[list[str] | None, typer.Option(help="Text at which the answer ends; may be given again.")]
Grammar = Annotated[str | None, typer.Option(metavar="FILE|GBNF", help="Grammar that the answer must follow.")]
JsonSchema = Annotated[str | None, typer.Option(metavar="FILE|JSON", help="JSON schema that it must follow.")]
IgnoreEos = Annotated[bool, typer.Option("--ignore-eos", help="Go on past the model's end mark.")]
Context = Annotated[int | None, typer.Option("-c", "--context", help="Context in tokens.")]
Threads = Annotated[int | None, typer.Option("-t", "--threads", help="0: one a physical core.")]
ThreadsPrefill = Annotated[int | None, typer.Option(help="Threads for the prompt; 0: as --threads.")]
Batch = Annotated[int | None, typer.Option("-b", "--batch", help="Prompt tokens a decode call.")]
Ubatch = Annotated[int | None, typer.Option("--ubatch", help="Prompt tokens computed together; 0: the batch.")]
Kv = Annotated[str | None, typer.Option("--kv", help="KV-cache type, such as f16 or q8_0.")]
KvV = Annotated[str | None, typer.Option("--kv-v", help="Type of the V cache where it differs.")]
GpuLayers = Annotated[int | None, typer.Option(help="Layers for an accelerator; -1 all, 0 none.")]
FlashAttention = Annotated[str | None, typer.Option(help="auto, on or off.")]
Mmap = Annotated[
    bool | None,
    typer.Option("--mmap/--no-mmap", help="Map the file, or read it.", show_default="by the memory that is free"),
]
HugePages = Annotated[
    bool | None, typer.Option("--huge-pages/--no-huge-pages", help="Ask for huge pages for what is not mapped.")
]
Mlock = Annotated[bool | None, typer.Option("--mlock/--no-mlock", help="Never page the weights out.")]
Numa = Annotated[str | None, typer.Option(help="off, distribute, isolate or numactl.")]
RopeScaling = Annotated[str | None, typer.Option(help="model, none, linear or yarn.")]
RopeFreqBase = Annotated[float | None, typer.Option(help="0: the model's.")]
RopeFreqScale = Annotated[float | None, typer.Option(help="0: the model's.")]
Lora = Annotated[list[str] | None, typer.Option(metavar="PATH[:SCALE]", help="Adapter; may be given again.")]
Draft = Annotated[str | None, typer.Option(metavar="MODEL", help="Small model that proposes tokens; name or path.")]
PromptLookup = Annotated[
    bool | None, typer.Option("--prompt-lookup/--no-prompt-lookup", help="Propose tokens from what was said.")
]
DraftTokens = Annotated[int | None, typer.Option(help="Most tokens proposed at once.")]
PromptCache = Annotated[
    bool | None, typer.Option("--prompt-cache/--no-prompt-cache", help="Keep the KV cache on disk between runs.")
]

NAMES = {
    "context_tokens": "context",
    "batch_tokens": "batch",
    "physical_batch_tokens": "ubatch",
    "kv_cache_type": "kv",
    "kv_cache_type_v": "kv-v",
    "repeat_last_tokens": "repeat-last",
}
"""Options that are not called as the setting is."""


class Wanted(NamedTuple):
    """Settings as they were asked for; None where nothing was said."""

    load: Mapping[str, Any]
    sampling: Mapping[str, Any]
    system: str | None
    profile: str | None
    preset: str | None
    draft: str | None

    @property
    def changes_settings(self) -> bool:
        """Whether anything but a profile was asked for."""
        given = (*self.load.values(), *self.sampling.values(), self.system, self.preset, self.draft)
        return any(value is not None for value in given)


class RunWith(NamedTuple):
    """Settings as they are to be used."""

    load: LoadSettings
    sampling: SamplingSettings
    system: str


async def run_with(lab: Lab, entry: ModelEntry, wanted: Wanted) -> RunWith:
    """The settings file, over it the profile, over that the preset, over that the options.

    Raises `EdgetuiError` for what is not there or out of its limits.
    """
    load, sampling, system = lab.settings.load, lab.settings.sampling, lab.settings.system_prompt
    if wanted.profile is not None:
        from edgetui.core.run_settings import RunSettings
        from edgetui.services.profiles import model_key

        profile = await lab.profiles.use(model_key(entry), wanted.profile)
        load, sampling, system = profile.over(RunSettings(load, sampling, system))
    if wanted.preset is not None:
        from edgetui.services.presets import preset_named

        sampling = preset_named(wanted.preset).applied_to(sampling)
    given = dict(wanted.load)
    if wanted.draft is not None:
        given["draft_model"] = str((await lab.catalog.find(wanted.draft)).path) if wanted.draft else ""
    return RunWith(
        override(load, given, NAMES),
        override(sampling, wanted.sampling, NAMES),
        system if wanted.system is None else wanted.system,
    )


def adapters(given: Sequence[str] | None) -> Any:
    """For the settings; None where none was given."""
    return adapters_from(given) if given else None


def constraint(given: str | None, what: str) -> str | None:
    """A grammar or a schema: itself, or the name of its file."""
    if given is None or not given.strip():
        return given
    text = given.strip()
    if "::=" in text or text.startswith("{") or text in ("true", "false"):
        return text
    return read_constraint(Path(text.removeprefix("@")), what)
