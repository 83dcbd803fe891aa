"""The vocabulary between edgetui and a session worker: commands down, events up, one JSON object a line."""

from __future__ import annotations

import msgspec

from edgetui.core.calibration import Calibration
from edgetui.core.engines import Ability
from edgetui.core.failures import Failure
from edgetui.core.fit import MemoryParts
from edgetui.core.inspection import InspectedToken
from edgetui.core.quant_options import QuantOptions
from edgetui.core.quant_types import Fallback
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint
from edgetui.worker.tagged import Tagged

# --- commands: parent to session worker -----------------------------------------------------------------


class Load(Tagged, frozen=True, kw_only=True):
    """Load a model and make a context; answered by `LoadProgress`, then `Loaded` or `Failed`."""

    path: str
    """The file of a model; empty for one on a server."""
    settings: LoadSettings
    endpoint: ServerEndpoint | None = None
    key: str = ""
    """Of the endpoint; it goes through this pipe and stands in no log."""
    cache_dir: str = ""
    """Where a prompt cache is kept, when the settings ask for one."""

    def __repr__(self) -> str:
        """Without the key, which must not get into a log by way of a traceback."""
        return f"Load(path={self.path!r}, settings={self.settings!r}, endpoint={self.endpoint!r})"


class Generate(Tagged, frozen=True, kw_only=True):
    """Continue a conversation, or a raw prompt; answered by `PromptReady`, `Tokens`, then `Finished` or `Failed`."""

    turn: int
    """Echoed in every event of this generation, so that a late event is never taken for a new one's."""
    messages: tuple[ChatMessage, ...] = ()
    prompt: str | None = None
    """Raw text, used as it is; then `messages` is empty."""
    sampling: SamplingSettings = SamplingSettings()
    flush_interval_s: float = 0.066
    """Tokens are grouped into one event at most this old; the first goes at once."""


class Tokenize(Tagged, frozen=True, kw_only=True):
    """Cut a text into the loaded model's tokens; answered by `Tokenized`."""

    text: str


class Inspect(Tagged, frozen=True, kw_only=True):
    """Tell what else each token of the last answer could have been; answered by `Inspected`.

    Costs a prefill of that answer, and nothing while it was being generated.
    """

    alternatives: int = 8
    """Likeliest tokens told for each place."""


class Embed(Tagged, frozen=True, kw_only=True):
    """Turn texts into vectors; answered by `Embedded`."""

    texts: tuple[str, ...]


class Stop(Tagged, frozen=True, kw_only=True):
    """Stop the load or generation under way; it answers with its own last event."""


class Unload(Tagged, frozen=True, kw_only=True):
    """Free the model; answered by `Unloaded`."""


class DescribeEngine(Tagged, frozen=True, kw_only=True):
    """Answered by `EngineInfo`."""


class PlanQuantization(Tagged, frozen=True, kw_only=True):
    """Dry-run every type of `type_names` (all when empty) on a model; a `QuantizationPlan` each, then `PlanDone`."""

    path: str
    type_names: tuple[str, ...] = ()
    options: QuantOptions = QuantOptions()


class EstimateMemory(Tagged, frozen=True, kw_only=True):
    """Simulate loading a model with each of the settings; answered by `MemoryEstimated` or `Failed`.

    For a worker that has loaded nothing: its own memory is part of the answer.
    """

    path: str
    settings: tuple[LoadSettings, ...]
    """At least one."""


class Calibrate(Tagged, frozen=True, kw_only=True):
    """Measure this machine for forecasts of speed; answered by `CalibrationProgress`, then `Calibrated`."""

    budget_s: float
    """About how long it may take."""
    buffer_bytes: int
    """Weights of each type to stream: more than the last cache holds."""


class ProveEngine(Tagged, frozen=True, kw_only=True):
    """Compute something small whose result is known; answered by `EngineProved`."""


Command = (
    Load
    | Generate
    | Tokenize
    | Inspect
    | Embed
    | Stop
    | Unload
    | DescribeEngine
    | PlanQuantization
    | EstimateMemory
    | Calibrate
    | ProveEngine
)


# --- events: session worker to parent -------------------------------------------------------------------


class Ready(Tagged, frozen=True, kw_only=True):
    """First event of a session worker: the process is up and listening."""

    pid: int


class LoadProgress(Tagged, frozen=True, kw_only=True):
    """Share of the weights read."""

    fraction: float


class Loaded(Tagged, frozen=True, kw_only=True):
    """The model is in memory and warm."""

    load_s: float
    context_tokens: int
    trained_context_tokens: int
    batch_tokens: int
    threads: int
    kv_cache_type: str
    kv_cache_bytes: int
    weights_bytes: int
    parameter_count: int
    description: str
    """The engine's own line for it, such as `llama ?B Q4_1`."""
    use_mmap: bool | None = None
    """Whether the file is mapped, or was read into the worker's own memory; None where the engine does not tell."""
    huge_page_bytes: int = 0
    """How much of the weights lies in huge pages."""
    has_chat_template: bool
    engine: str = "llama.cpp"
    engine_version: str = ""
    backend: str = "CPU"
    """What computes: `CPU`, or the engine's names of the accelerators; empty where a server does not tell."""
    abilities: tuple[Ability, ...] = ()
    remarks: tuple[str, ...] = ()
    """What of the settings could not be had, and what was taken instead, one sentence each."""
    models: tuple[str, ...] = ()
    """What a server lists, the loaded one among them; empty for an engine here."""


class PromptReady(Tagged, frozen=True, kw_only=True):
    """Prefill starts: what of the prompt is already in the KV cache and what is new."""

    turn: int
    prompt_tokens: int
    reused_tokens: int
    seed: int


class PrefillProgress(Tagged, frozen=True, kw_only=True):
    """New prompt tokens decoded so far; the last one of a turn has `done_tokens == total_tokens`."""

    turn: int
    done_tokens: int
    total_tokens: int
    elapsed_s: float = 0.0
    """Since prefill began."""


class Tokens(Tagged, frozen=True, kw_only=True):
    """Text of one or more tokens, with the time of each on the worker's clock."""

    turn: int
    text: str
    """Always whole characters; may be empty while a character is incomplete."""
    times_ns: tuple[int, ...]
    """`perf_counter_ns` since the command arrived, one a token, in order."""
    context_used: int
    """Tokens in the KV cache after the last of these."""


class Finished(Tagged, frozen=True, kw_only=True):
    """A generation ended well: by the model, a limit, or `Stop`."""

    turn: int
    reason: str
    """`end` (the model's own mark), `max_tokens`, `context_full`, `stop_text`, `stopped`."""
    prompt_tokens: int
    reused_tokens: int
    prefill_tokens: int
    """`prompt_tokens - reused_tokens`: what was computed in this turn."""
    prefill_s: float
    """0 where a server does not tell."""
    ttft_s: float | None
    """From the command's arrival to the first token; None when none came."""
    generated_tokens: int
    decode_s: float
    """From the first token to the last."""
    context_used: int
    """Tokens in the KV cache; for a server, prompt and answer as it counts them."""
    context_tokens: int
    """0 where a server does not tell."""
    seed: int
    stop_text: str = ""
    """The stop sequence that ended it; then `reason` is `stop_text`."""
    draft_tokens: int = 0
    """Tokens that were proposed by a draft model or by prompt lookup."""
    accepted_tokens: int = 0
    """How many of those the model agreed with."""
    network_s: float | None = None
    """Of a server that tells its own times: the part of `ttft_s` that it does not account for."""
    server_decode_s: float | None = None
    """Of a server that tells its own times: from its first token to its last, by its clock."""
    remarks: tuple[str, ...] = ()
    """What of the figures is not as exact as usual, one sentence each."""


class TokenPiece(msgspec.Struct, frozen=True):
    """One token of a text."""

    token: int
    text: str
    """U+FFFD where the token is part of a character."""


class Tokenized(Tagged, frozen=True, kw_only=True):
    """Answer of `Tokenize`."""

    tokens: tuple[TokenPiece, ...]


class Inspected(Tagged, frozen=True, kw_only=True):
    """Answer of `Inspect`: the tokens of the last answer in order."""

    tokens: tuple[InspectedToken, ...]


class Embedded(Tagged, frozen=True, kw_only=True):
    """Answer of `Embed`, in the order of the texts."""

    vectors: tuple[tuple[float, ...], ...]
    """Each of length 1."""
    token_counts: tuple[int, ...]


class Unloaded(Tagged, frozen=True, kw_only=True):
    """The model's memory is free again."""


class EngineInfo(Tagged, frozen=True, kw_only=True):
    """What the engine is and what it was built with."""

    name: str
    version: str
    build: str
    """llama.cpp's own build identification, where it tells."""
    system_info: str
    """Feature flags as the library prints them."""
    devices: tuple[str, ...]
    supports_gpu_offload: bool
    supports_mmap: bool
    supports_mlock: bool
    quant_types: tuple[str, ...]


class QuantizationPlan(Tagged, frozen=True, kw_only=True):
    """What one type would make of a model, by the engine's own dry run."""

    type_name: str
    size_bytes: int | None = None
    """Predicted file size; None when it cannot be done, then `problem` says why."""
    bits_per_weight: float | None = None
    needs_imatrix: bool = False
    fallbacks: tuple[Fallback, ...] = ()
    """Tensors that take another type because their rows do not divide into its blocks."""
    product_weights: tuple[tuple[str, int], ...] = ()
    """Weights that a token is multiplied with, by tensor type in capitals."""
    source_tensor_bytes: int = 0
    file_count: int = 1
    problem: str | None = None

    @property
    def fallback_tensors(self) -> int:
        """How many there are."""
        return len(self.fallbacks)


class MemoryEstimated(Tagged, frozen=True, kw_only=True):
    """What loading would take; in the order of the settings that were asked for."""

    parts: tuple[MemoryParts | None, ...]
    """None where the engine refuses the settings; never for the first."""
    context_tokens: int
    """Of the first, which may have left it open."""
    available_bytes: int
    """What this machine, or its cgroup, lets a process take now."""


class PlanDone(Tagged, frozen=True, kw_only=True):
    """End of a `PlanQuantization`."""


class CalibrationProgress(Tagged, frozen=True, kw_only=True):
    """Share of a calibration that is done."""

    fraction: float


class Calibrated(Tagged, frozen=True, kw_only=True):
    """End of a `Calibrate`."""

    calibration: Calibration


class EngineProved(Tagged, frozen=True, kw_only=True):
    """End of a `ProveEngine`: the result was right."""

    found: str
    """What was proved, in words."""


class Failed(Tagged, frozen=True, kw_only=True):
    """The command under way failed; the worker lives on."""

    failure: Failure
    turn: int | None = None


SessionEvent = (
    Ready
    | LoadProgress
    | Loaded
    | PromptReady
    | PrefillProgress
    | Tokens
    | Finished
    | Tokenized
    | Inspected
    | Embedded
    | Unloaded
    | EngineInfo
    | QuantizationPlan
    | PlanDone
    | CalibrationProgress
    | Calibrated
    | MemoryEstimated
    | EngineProved
    | Failed
)


class Proved(msgspec.Struct, frozen=True):
    """What the process of a self-test prints: what was proved, or the failure."""

    found: str = ""
    failure: Failure | None = None
