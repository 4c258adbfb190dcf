"""Exports to GGUF: a file for llama.cpp and what is built on it, and the same with a Modelfile for Ollama."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import RecipeError, did_you_mean
from potstill.export import converter, quantizing
from potstill.export.gate import gate
from potstill.export.go_rendering import render
from potstill.export.go_template import trims
from potstill.export.modelfile import modelfile, require_expressible, template_of
from potstill.export.student import Student
from potstill.workspace.exports import Gate, content
from potstill.workspace.run import Run

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate

MODELFILE = "Modelfile"
EXACT = "f16"
"""The type whose answers must be the student's."""
BITS = {"f16": 16.0, "q8_0": 8.5, "q4_0": 5.0}
"""Of a weight in a file; of other types at most 9."""
TYPES = (
    "f16", "q8_0", "q4_0", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_1", "q4_k_s", "q4_k_m", "q5_0", "q5_1", "q5_k_s", "q5_k_m", "q6_k",
    "iq4_nl", "iq4_xs",
)  # fmt: skip
"""The first three are written without llama.cpp's own tools."""


@dataclass(frozen=True)
class Gguf:
    """A GGUF file in one of llama.cpp's types."""

    number_format: str
    form: str = "gguf"

    @property
    def name(self) -> str:
        return f"{self.form}-{self.number_format}"

    def check(self) -> None:
        """Raises `RecipeError` for an unknown type, and for one that this machine cannot make or ask."""
        if self.number_format not in TYPES:
            raise RecipeError(
                f"--type {self.number_format}: no such type.{did_you_mean(self.number_format, TYPES)} There are {', '.join(TYPES)}."
            )
        if self.number_format not in converter.TYPES:
            quantizing.check(self.number_format)
        if find_spec("xllamacpp") is None:
            raise RecipeError(
                f"--to {self.form}: its gate asks llama.cpp, which is missing: pip install 'potstill[llama-cpp]'."
            )

    def download(self) -> None:
        converter.install()

    def settings(self, student: Student) -> dict[str, Any]:
        return {"converter": converter.VERSION}

    def check_chat(self, chat: "ChatTemplate", system: str) -> None:
        """llama.cpp renders any template."""

    def disk_bytes(self, float32_bytes: int) -> int:
        bits = BITS.get(self.number_format, 9.0) + (0.0 if self.number_format in converter.TYPES else BITS[EXACT])
        return int(float32_bytes / 32 * bits)

    def write(self, student: Student, folder: Path) -> None:
        """Raises `PotstillError` where the converter fails."""
        file = folder / content(self.name)
        if self.number_format in converter.TYPES:
            converter.convert(student.folder, file, self.number_format, student.end)
            return
        unquantized = folder / f"{EXACT}.gguf"
        converter.convert(student.folder, unquantized, EXACT, student.end)
        quantizing.quantize(unquantized, file, self.number_format)
        unquantized.unlink()

    def gate(self, run: Run, student: Student, folder: Path) -> Gate:
        return gate.of_gguf(run, student, folder / content(self.name), self.name, exact=self.number_format == EXACT)

    def how_to_run(self, student: Student, model: str) -> str:
        return f"llama-server -m {model} --jinja -c {student.context}"


@dataclass(frozen=True)
class Ollama(Gguf):
    """A GGUF file and a Modelfile."""

    form: str = "ollama"

    def settings(self, student: Student) -> dict[str, Any]:
        return {**super().settings(student), "system": student.system, "max_tokens": student.max_tokens}

    def check_chat(self, chat: "ChatTemplate", system: str) -> None:
        require_expressible(chat, system)

    def write(self, student: Student, folder: Path) -> None:
        """Raises `RecipeError`, before the weights are converted, where Ollama cannot express the chat template."""
        (folder / MODELFILE).write_text(modelfile(student, content(self.name)), encoding="utf-8")
        super().write(student, folder)

    def gate(self, run: Run, student: Student, folder: Path) -> Gate:
        template = template_of((folder / MODELFILE).read_text(encoding="utf-8"))
        found = gate.of_gguf(
            run, student, folder / content(self.name), self.name, exact=self.number_format == EXACT,
            template=lambda messages: render(template, messages),
        )  # fmt: skip
        if trims(student.chat):
            found["lines"].append("Ollama cannot trim messages as the template does: send them without spaces around")
        return found

    def how_to_run(self, student: Student, model: str) -> str:
        name = re.sub(r"[^a-z0-9._-]+", "-", student.name.lower())
        return f"ollama create {name} -f {Path(model).with_name(MODELFILE)} && ollama run {name}"
