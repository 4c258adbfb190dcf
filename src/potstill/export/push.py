"""Upload an export to the hub, as a repository of its own."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import PotstillError, RecipeError
from potstill.export import card
from potstill.export.forms import Form, exported
from potstill.progress import echo
from potstill.workspace import exports
from potstill.workspace.exports import CARD
from potstill.workspace.run import Run

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class Upload:
    """What would be sent: the files by their path in the repository."""

    repository: str
    private: bool
    files: dict[str, Path]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.stat().st_size for file in self.files.values())


def planned(run: Run, form: Form, repository: str, private: bool) -> Upload:
    """What `push` would send. Raises `RecipeError` where the export cannot be used, or its card's licences are not filled in."""
    if not REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise RecipeError(f"--repo {repository}: this is no repository of the hub; write ORG/NAME.")
    exported(run, form.name)
    folder = exports.folder(run, form.name)
    path = folder / CARD
    if not path.exists():
        raise RecipeError(f"{path} is missing. Write it again: {exports.command(run, form.name)}")
    if missing := card.open_fields(run, path.read_text(encoding="utf-8")):
        raise RecipeError(
            f"{path}: nobody has filled in {', '.join(missing)}. Look up under which licences you may publish this model, and write them at the "
            "top of the file."
        )
    model = exports.content(form.name)
    inside = folder / model
    files = {file.relative_to(inside).as_posix(): file for file in sorted(inside.rglob("*")) if file.is_file()}
    record = exports.record(run, form.name)
    other = {name: folder / name for name in (record["files"] if record else {}) if not name.startswith(f"{model}/")}
    return Upload(repository, private, {**files, **other, CARD: path})


def push(upload: Upload) -> str:
    """Send the files, and return the address of the repository.

    The hub is that of `HF_ENDPOINT`, the token that of `HF_TOKEN` or of `hf auth login`. Raises `PotstillError` with what the hub said.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="potstill")
    operations = [CommitOperationAdd(name, file) for name, file in upload.files.items()]
    try:
        echo(f"  {upload.repository}: {len(operations)} files, {upload.size / 1e6:,.0f} MB")
        address = api.create_repo(upload.repository, private=upload.private, exist_ok=True)
        api.create_commit(upload.repository, operations, commit_message="Upload by potstill")
    except LocalTokenNotFoundError as error:
        raise PotstillError("The hub wants a token: set HF_TOKEN, or log in with `hf auth login`.") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise PotstillError(f"{upload.repository}: the upload failed: {_reason(error)}") from error
    return str(address)


def lines(upload: Upload) -> Sequence[str]:
    """What would be sent, in words."""
    who = "private" if upload.private else "public"
    head = f"{upload.repository} ({who}): {len(upload.files)} files, {upload.size / 1e6:,.1f} MB"
    return [head, *(f"  {name}  {file.stat().st_size / 1e6:,.1f} MB" for name, file in upload.files.items())]


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
