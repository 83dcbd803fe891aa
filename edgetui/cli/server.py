"""`edgetui server`: models on servers that speak OpenAI's protocol."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.server_load import ServerBenchSettings, ServerLoadResult
    from edgetui.core.servers import ServerEndpoint
    from edgetui.services.lab import Lab

server = typer.Typer(
    help="Add, list, try and measure servers that speak OpenAI's protocol (llama-server, Ollama, vLLM, ...).",
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What you call it; NAME/MODEL for another of its models.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@server.callback(invoke_without_command=True)
def overview(context: typer.Context, as_json: AsJson = False) -> None:
    """List all servers when nothing else is asked."""
    if context.invoked_subcommand is None:
        _list(as_json)


@server.command("list")
def list_servers(as_json: AsJson = False) -> None:
    """List all servers; none of them is asked."""
    _list(as_json)


@server.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Its base, such as http://127.0.0.1:8080.")],
    model: Annotated[
        str | None, typer.Option(help="As the server calls it; the first that it lists otherwise.")
    ] = None,
    key_variable: Annotated[
        str | None, typer.Option("--key-variable", help="Environment variable that holds its key.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Longest silence in seconds that is waited for.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a server by a name, after which `edgetui run NAME` asks it. The key itself is kept nowhere."""
    told = {"name": name, "url": url, "model": model, "key_variable": key_variable, "timeout_s": timeout}
    endpoint: ServerEndpoint = _with_lab(lambda lab: lab.servers.add(**told))
    if as_json:
        print_json(_as_json(endpoint))
        return
    name = plain_line(endpoint.name)
    print(f"{name} added: edgetui server test {shlex.quote(name)} tries it")
    if not endpoint.key_variable:
        from edgetui.services.servers import Servers

        if command := Servers.how_to_keep_a_key(endpoint.name):
            print(f"edgetui: if it wants a key, keep it with `{plain_line(command)}`.", file=sys.stderr)


@server.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Forget a server; a key in the keyring stays there."""
    endpoint: ServerEndpoint = _with_lab(lambda lab: lab.servers.remove(name))
    print_json({"removed": endpoint.name}) if as_json else print(f"{plain_line(endpoint.name)} removed")


@server.command()
def models(name: Name, as_json: AsJson = False) -> None:
    """List the models of a server."""
    loaded = _with_lab(lambda lab: _look(lab, name))
    if as_json:
        print_json({"server": loaded.engine_version, "models": list(loaded.models)})
        return
    for model in loaded.models:
        print(plain_line(model))


@server.command()
def test(name: Name, as_json: AsJson = False) -> None:
    """Ask a server for its models and for one token, and print how long each took."""
    check = _with_lab(lambda lab: _check(lab, name))
    loaded, finished = check.loaded, check.finished
    if as_json:
        import msgspec

        print_json(
            {
                "server": loaded.engine_version,
                "models": list(loaded.models),
                "model": loaded.description,
                "context_tokens": loaded.context_tokens,
                "abilities": list(loaded.abilities),
                "remarks": [*loaded.remarks, *finished.remarks],
                "list_s": loaded.load_s,
                "text": check.text,
                **{
                    key: value
                    for key, value in msgspec.structs.asdict(finished).items()
                    if key in ("ttft_s", "network_s", "prompt_tokens", "generated_tokens")
                },
            }
        )
        return
    from edgetui.core.units import format_duration

    shown = ", ".join(plain_line(model) for model in loaded.models[:5])
    more = f" and {len(loaded.models) - 5} more" if len(loaded.models) > 5 else ""
    print(f"server    {loaded.engine_version}")
    print(f"models    {shown}{more} ({format_duration(loaded.load_s)} to list and describe)")
    print(f"model     {plain_line(loaded.description)}, context {loaded.context_tokens or 'not told'}")
    print(f"beyond chat {', '.join(loaded.abilities) or 'nothing'}")
    network = "" if finished.network_s is None else f", {format_duration(finished.network_s)} of it network and queue"
    print(f"one token {plain_line(check.text)!r} after {format_duration(finished.ttft_s)}{network}")
    for remark in (*loaded.remarks, *finished.remarks):
        print(f"edgetui: {plain_line(remark)}", file=sys.stderr)


@server.command()
def bench(
    name: Name,
    concurrency: Annotated[str, typer.Option(help="Conversations at once, a level each.")] = "1,2,4",
    prompt: Annotated[int, typer.Option("-p", "--n-prompt", help="Tokens of each question, about.")] = 256,
    generate: Annotated[int, typer.Option("-n", "--n-gen", help="Most tokens of each answer.")] = 64,
    requests: Annotated[int, typer.Option("-r", "--requests", help="Questions of each conversation.")] = 2,
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and return.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a server many things at once: latency and throughput of each level, in a job whose result is kept."""
    settings = _settings(concurrency, prompt, generate, requests)
    raise typer.Exit(_with_lab(lambda lab: _bench(lab, name, settings, detach, as_json)))


def _settings(concurrency: str, prompt: int, generate: int, requests: int) -> ServerBenchSettings:
    from edgetui.core.server_load import ServerBenchSettings, levels_of
    from edgetui.core.setting_values import converted

    values = {
        "concurrency": levels_of(concurrency),
        "prompt_tokens": prompt,
        "generated_tokens": generate,
        "requests": requests,
    }
    return converted(values, ServerBenchSettings)


async def _look(lab: Lab, name: str) -> Any:
    import msgspec

    # Whatever model is named: it is asked which there are.
    return await lab.servers.look(msgspec.structs.replace(await lab.servers.get(name), model=""))


async def _check(lab: Lab, name: str) -> Any:
    return await lab.servers.check(await lab.servers.get(name))


async def _bench(lab: Lab, name: str, settings: ServerBenchSettings, detach: bool, as_json: bool) -> int:
    from contextlib import aclosing

    from edgetui.core.server_load import ServerLoadResult
    from edgetui.worker.job_events import JobStudy

    endpoint = await lab.servers.get(name)
    started: list[str] = []

    async def start() -> JobRecord:
        record = await lab.servers.measure(endpoint, settings)
        started.append(record.job_id)
        return record

    status = await start_and_follow(lab, start, detach=detach, as_json=as_json, show=lambda _record: None)
    if detach or status:
        return status
    async with aclosing(lab.jobs.watch(started[0])) as events:
        async for event in events:
            if isinstance(event, JobStudy) and isinstance(event.result, ServerLoadResult):
                _print_load(event.result, as_json)
    return status


def _print_load(result: ServerLoadResult, as_json: bool) -> None:
    if as_json:
        import msgspec

        told = msgspec.to_builtins(result)
        for row, measured in zip(told["rows"], result.rows, strict=True):
            row["output_tps"] = measured.output_tps
        print_json(told)
        return
    from edgetui.core.server_load_text import load_problems, load_subject, load_table

    print(load_subject(result))
    _print_table(load_table(result))
    for sentence in (*load_problems(result), result.sentence):
        print(f"edgetui: {sentence}", file=sys.stderr)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")


def _list(as_json: bool) -> None:
    endpoints: tuple[ServerEndpoint, ...] = _with_lab(lambda lab: lab.servers.endpoints())
    if as_json:
        print_json([_as_json(endpoint) for endpoint in endpoints])
        return
    if not endpoints:
        print("There is no server yet: edgetui server add NAME URL.", file=sys.stderr)
    for endpoint in endpoints:
        key = f"key in {endpoint.key_variable}" if endpoint.key_variable else "key in the keyring, or none"
        model = plain_line(endpoint.model) or "its first model"
        print(f"{plain_line(endpoint.name)}  {plain_line(endpoint.url)}  {model}  {key}")


def _as_json(endpoint: ServerEndpoint) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(endpoint)


def _with_lab(use: Callable[[Lab], Awaitable[Any]]) -> Any:
    async def with_lab() -> Any:
        from edgetui.services.lab import Lab

        lab = Lab()
        try:
            return await use(lab)
        finally:
            await lab.close()

    return asyncio.run(with_lab())
