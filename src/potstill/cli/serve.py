"""The command that serves a student."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli.options import RUNS, Host, Port, RunName, Runs

if TYPE_CHECKING:
    from potstill.serve.server import Watch
    from potstill.workspace.run import Run


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
    shadow: Annotated[
        float,
        typer.Option("--shadow", min=0, max=1, help="Part of the traffic about which the teacher is asked again."),
    ] = 0.0,
    shadow_seed: Annotated[int, typer.Option("--shadow-seed", help="Decides which part that is.")] = 0,
    agreement: Annotated[
        float | None,
        typer.Option(
            "--agreement",
            min=0,
            max=1,
            help="Agreement with the teacher below which retraining is advised; left out, that on the test questions "
            "less the margin.",
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8322,
) -> None:
    """Serve a run's student with OpenAI's API."""
    from potstill.serve import server
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    options = server.Options(host, port, form, concurrency, waiting, context, grace, api_key_env)
    watch = [_shadow(opened, shadow, shadow_seed, agreement)] if shadow else []
    if not fallback:
        server.serve(opened, options, watch)
        return
    from potstill.cascade.fallback import endpoint, escalating, require_other
    from potstill.cascade.ready import ready

    chosen, teacher = ready(opened), endpoint(opened, fallback, fallback_timeout)
    require_other(teacher, host, port)
    server.serve(opened, options, watch, escalating(opened, chosen, teacher))


def _shadow(run: "Run", share: float, seed: int, agreement: float | None) -> "Watch":
    from potstill.serve import shadow

    shadow.check(run)
    return partial(shadow.shadowing, run, shadow.Options(share, seed, agreement))
