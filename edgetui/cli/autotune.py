"""`edgetui autotune`: the fastest settings of a model on this machine, or that the defaults are best."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord
    from edgetui.services.lab import Lab


def autotune(
    model: Annotated[str, typer.Argument(help="Name or path of a model.", show_default=False)],
    goal: Annotated[Literal["decode", "prefill"], typer.Option("--for", help="What shall be fast.")] = "decode",
    budget: Annotated[str, typer.Option("--budget", help="Time that it may take, such as 90s or 5m.")] = "2m",
    depth: Annotated[int, typer.Option("-d", "--n-depth", min=0, help="Tokens in the KV cache before.")] = 0,
    kv_types: Annotated[
        bool, typer.Option("--kv-types", help="Also try a quantized KV cache, which changes answers a little.")
    ] = False,
    save: Annotated[bool, typer.Option(help="Save what is shown to be faster as a profile.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for the fastest settings, and save them where an A/B shows them to be faster than the defaults."""
    from edgetui.cli.bench_modes import follow_study
    from edgetui.cli.bench_options import seconds
    from edgetui.core.setting_values import converted
    from edgetui.core.studies import TuneSettings

    settings = converted(
        {
            "goal": goal,
            "budget_s": seconds(budget, "--budget"),
            "depth_tokens": depth,
            "allow_kv_types": kv_types,
            "save_profile": save,
        },
        TuneSettings,
    )

    async def start(lab: Lab) -> JobRecord:
        return await lab.bench.start_tune(await lab.catalog.find(model), settings)

    raise typer.Exit(asyncio.run(follow_study(start, as_json)))
