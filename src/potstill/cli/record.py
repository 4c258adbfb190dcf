"""The command that records the traffic of a teacher that is in use."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli.options import Host, Port
from potstill.errors import RecipeError

if TYPE_CHECKING:
    from potstill.recipe.redaction import Redactor


def add_to(app: typer.Typer) -> None:
    app.command(name="record")(record)


def record(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="Base address of the server that your clients use.")],
    log: Annotated[Path, typer.Option("--log", metavar="FOLDER", help="Where the answers are recorded.")] = Path(
        "logs"
    ),
    redact: Annotated[
        str,
        typer.Option("--redact", metavar="A,B", help="Kinds of personal data to redact: email, phone, card, iban, ip."),
    ] = "",
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="RECIPE", help="Redact as the data section of this recipe says.")
    ] = "",
    host: Host = "127.0.0.1",
    port: Port = 8323,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds without a byte of the server until a request fails.")
    ] = 600.0,
    file_size: Annotated[
        int, typer.Option("--file-size", min=1, help="MiB after which the log begins a new file.")
    ] = 256,
) -> None:
    """Pass your clients' requests to a server, and record its answers as training data (data: {source: logs})."""
    from potstill.record import server
    from potstill.record.log import Log

    rules = [rule.strip() for rule in redact.split(",") if rule.strip()]
    server.serve(to, Log(log, file_size << 20), _redactor(rules, recipe), host, port, timeout)


def _redactor(rules: Sequence[str], recipe: str) -> "Redactor":
    from potstill.recipe import loading
    from potstill.recipe.data import Logs
    from potstill.record.rows import redactor

    patterns = {}
    if recipe:
        data = loading.load(recipe).data
        if not isinstance(data, Logs):
            raise RecipeError(
                f"{recipe}: its data is no log, so it has no rules of redaction. Use --redact email,phone."
            )
        rules, patterns = [*rules, *data.redact], data.redact_patterns
    try:
        return redactor(rules, patterns)
    except ValueError as error:
        raise RecipeError(f"--redact: {error}") from error
