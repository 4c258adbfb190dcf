"""The command that serves a student."""

from typing import Annotated

import typer

from potstill.cli.options import RUNS, RunName, Runs


def add_to(app: typer.Typer) -> None:
    app.command(name="serve")(serve)


def serve(
    name: RunName,
    runs: Runs = RUNS,
    form: Annotated[
        str,
        typer.Option(
            "--form", help="An export's form, such as gguf-q8_0; left out, vllm on a GPU, otherwise gguf-f16."
        ),
    ] = "",
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=4096, help="Requests that are answered at once.")
    ] = 16,
    waiting: Annotated[int, typer.Option("--waiting", min=0, help="Further requests that wait for a place.")] = 64,
    context: Annotated[
        int, typer.Option("--context", min=0, help="Tokens of prompt and answer; 0 for those that the recipe needs.")
    ] = 0,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds that requests in flight have when the server stops.")
    ] = 30.0,
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", metavar="NAME", help="Environment variable with the key that clients send.")
    ] = "",
    fallback: Annotated[
        str,
        typer.Option(
            "--fallback",
            metavar="URL",
            help="A teacher's server for what the student is not sure of (potstill cascade): its address, '{url: ..., model: ..., "
            "api_key_env: ...}', or teacher for the recipe's.",
        ),
    ] = "",
    fallback_timeout: Annotated[
        float,
        typer.Option("--fallback-timeout", min=0.1, help="Seconds until the student's answer is given in its place."),
    ] = 60.0,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 for a free one.")] = 8322,
) -> None:
    """Serve a run's student with OpenAI's API."""
    from potstill.serve import server
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    options = server.Options(host, port, form, concurrency, waiting, context, grace, api_key_env)
    if not fallback:
        server.serve(opened, options)
        return
    from potstill.cascade.fallback import endpoint, escalating, require_other
    from potstill.cascade.ready import ready

    chosen, teacher = ready(opened), endpoint(opened, fallback, fallback_timeout)
    require_other(teacher, host, port)
    server.serve(opened, options, answers=escalating(opened, chosen, teacher))
