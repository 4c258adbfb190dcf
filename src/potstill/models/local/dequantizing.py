"""Conversion of a GGUF file to a folder of weights that transformers can train."""

import io
import os
import shutil
from contextlib import redirect_stderr
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.disable_progress_bar()


def dequantize(gguf: Path, target: Path) -> None:
    """Dequantize a GGUF file into ``target``, a folder of safetensors in float32; an existing folder is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    part = gguf.parent / "dequantizing"
    shutil.rmtree(part, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # It draws its own progress bar, even without a terminal.
    with redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # transformers keeps a GGUF quantizer on dequantized weights and then refuses to save them.
    delattr(model, "hf_quantizer")
    del model.config.quantization_config
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    os.replace(part, target)
