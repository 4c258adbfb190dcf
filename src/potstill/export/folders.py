"""Exports as a folder of safetensors: for transformers, and for vLLM."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.export.gate import gate
from potstill.export.student import Student
from potstill.workspace.exports import Gate, content
from potstill.workspace.run import Run

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate

GENERATION = "generation_config.json"
IDS = ("bos_token_id", "pad_token_id", "eos_token_id")
NOT_ASKED = "vLLM was not asked: it is not on this machine. Prompts and token ids were checked with transformers"


@dataclass(frozen=True)
class Safetensors:
    """The student's weights in float32, adapters merged, as transformers loads them."""

    name: str = "safetensors"
    form: str = "safetensors"

    def check(self) -> None:
        """Any machine can write it."""

    def download(self) -> None:
        """Nothing is needed."""

    def settings(self, student: Student) -> dict[str, Any]:
        return {}

    def check_chat(self, chat: "ChatTemplate", system: str) -> None:
        """transformers renders any template."""

    def disk_bytes(self, float32_bytes: int) -> int:
        return float32_bytes

    def write(self, student: Student, folder: Path) -> None:
        target = folder / content(self.name)
        shutil.copytree(student.folder, target)
        _write_generation_config(target, student, {"do_sample": False})

    def gate(self, run: Run, student: Student, folder: Path) -> Gate:
        return gate.of_folder(run, student, folder / content(self.name), exact=True)

    def how_to_run(self, student: Student, model: str) -> str:
        code = f'from transformers import pipeline; ask = pipeline("text-generation", "{model}")'
        return f'python -ic \'{code}\'  # then: ask([{{"role": "user", "content": "..."}}])'


@dataclass(frozen=True)
class Vllm:
    """The weights in the number format in which the student answers, as `vllm serve` takes them."""

    name: str = "vllm"
    form: str = "vllm"

    def check(self) -> None:
        """Any machine can write it."""

    def download(self) -> None:
        """Nothing is needed."""

    def settings(self, student: Student) -> dict[str, Any]:
        return {"dtype": student.dtype, "max_tokens": student.max_tokens}

    def check_chat(self, chat: "ChatTemplate", system: str) -> None:
        """vLLM renders any template."""

    def disk_bytes(self, float32_bytes: int) -> int:
        return float32_bytes  # in the widest number format

    def write(self, student: Student, folder: Path) -> None:
        target = folder / content(self.name)
        shutil.copytree(student.folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
        for file in sorted(student.folder.glob("*.safetensors")):
            _cast(file, target / file.name, student.dtype)
        _change(target / "config.json", {"dtype": student.dtype})
        # vLLM takes these as the defaults of requests.
        _write_generation_config(target, student, {"temperature": 0.0, "max_new_tokens": student.max_tokens})

    def gate(self, run: Run, student: Student, folder: Path) -> Gate:
        found = gate.of_folder(run, student, folder / content(self.name), exact=False)
        if found["state"] != "passed":
            return found
        if shutil.which("vllm"):
            return gate.together([found, gate.accuracy_of(run, self.name)])
        return gate.together([found, Gate(state="not shown", lines=[NOT_ASKED])])

    def how_to_run(self, student: Student, model: str) -> str:
        options = f"--dtype {student.dtype} --max-model-len {student.context}"
        return f"vllm serve {model} --served-model-name {student.name} {options}"


def _cast(source: Path, target: Path, dtype: str) -> None:
    """Copy a file of weights, those in float32 in another number format."""
    if dtype == "float32":
        shutil.copyfile(source, target)
        return
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, "pt") as opened:
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    cast = {name: one.to(getattr(torch, dtype)) if one.dtype == torch.float32 else one for name, one in weights.items()}
    save_file(cast, target, metadata={"format": "pt"})


def _write_generation_config(folder: Path, student: Student, settings: dict[str, Any]) -> None:
    """Greedy answers that end where the template ends a turn, whatever the base's configuration says of sampling."""
    path = folder / GENERATION
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ids = before.get("eos_token_id")
    ends = dict.fromkeys([student.end, *(ids if isinstance(ids, list) else [ids])])
    kept = {key: before[key] for key in IDS if before.get(key) is not None}
    config = kept | {"eos_token_id": [id for id in ends if id is not None]} | settings
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _change(path: Path, values: dict[str, Any]) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
