"""Quantize a GGUF file: Q4_0 here, other types by llama.cpp's `llama-quantize`."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.progress import progress

OWN = "q4_0"
TOOL = "llama-quantize"
KEPT_AT_8_BITS = ("token_embd.weight", "output.weight")
"""The first and last layer, which llama.cpp, too, quantizes less than the others."""


def check(number_format: str) -> None:
    """Raises `RecipeError` for a type that this machine cannot make."""
    if number_format != OWN and shutil.which(TOOL) is None:
        raise RecipeError(
            f"--type {number_format}: potstill writes f16, q8_0 and q4_0; other types need llama.cpp's {TOOL}, which is not on the PATH."
        )


def quantize(source: Path, target: Path, number_format: str) -> None:
    """Write the file ``source``, in F16, as ``target`` in another type. Raises `PotstillError` where that fails."""
    if number_format == OWN:
        _write_q4_0(source, target)
        return
    done = subprocess.run(
        [TOOL, str(source), str(target), number_format.upper()], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines()[-1:] or ["it gave no reason"]
        raise PotstillError(f"{TOOL} could not write {number_format}: {lines[0]}")


def _write_q4_0(source: Path, target: Path) -> None:
    """Q4_0 as llama.cpp defines it: blocks of 32 weights of a row share a scale. Rows of another length stay in F16."""
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for name, value, kinds in _fields(reader):
        if name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q4_0)
        writer.add_key_value(name, value, kinds[0], kinds[-1] if kinds[0] == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        data, kind = tensor.data, _type_of(tensor)
        if kind == tensor.tensor_type:
            writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, kind)
        else:
            shape = gguf.quant_shape_to_byte_shape(data.shape, kind)
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), int(np.prod(shape)), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    with progress(f"GGUF {OWN}", len(reader.tensors), "tensors") as bar:
        for tensor in reader.tensors:
            interrupt.raise_if_requested()
            kind = _type_of(tensor)
            data = tensor.data if kind == tensor.tensor_type else gguf.quantize(tensor.data.astype(np.float32), kind)
            writer.write_tensor_data(data)
            bar.advance()
    writer.close()


def _fields(reader: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and types of each field but those that the writer adds itself."""
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            yield field.name, field.contents(), field.types


def _type_of(tensor: Any) -> Any:
    """The type of a tensor in the quantized file: vectors keep theirs."""
    from gguf import GGMLQuantizationType as Type

    if len(tensor.shape) < 2 or tensor.tensor_type != Type.F16 or tensor.shape[0] % 32:
        return tensor.tensor_type
    return Type.Q8_0 if tensor.name in KEPT_AT_8_BITS else Type.Q4_0
