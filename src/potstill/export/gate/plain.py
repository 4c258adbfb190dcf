"""Ask a folder of weights as anybody would with transformers: its own tokenizer, template and generation config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potstill import interrupt
from potstill.export.gate.agreement import Said
from potstill.models import Message, Request
from potstill.progress import progress


class Plain:
    """The tokenizer in a folder of weights."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def prompt(self, messages: Sequence[Message]) -> str:
        chat = [dict(one) for one in messages]
        return str(self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def tokens(self, text: str) -> list[int]:
        return [int(id) for id in self._tokenizer(text, add_special_tokens=False)["input_ids"]]


def answers(folder: Path, asked: Sequence[tuple[Request, Sequence[int]]]) -> list[Said]:
    """The answers of `generate` in the number format of the folder, with nothing set but the limit."""
    import torch
    from transformers import AutoModelForCausalLM

    from potstill.models.local import resident

    resident.release()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    if torch.cuda.is_available():
        model.cuda()
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    said = []
    with torch.inference_mode(), progress("gate: transformers", len(asked), "answers") as bar:
        for request, prompt in asked:
            interrupt.raise_if_requested()
            ids = torch.tensor([list(prompt)], device=model.device)
            mask = torch.ones_like(ids)
            output = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=request.sampling.max_tokens)
            answer = output[0, len(prompt) :].tolist()
            ended = bool(answer) and answer[-1] in ends
            said.append(Said(request.id, prompt, answer, ended))
            bar.advance(1, len(answer))
    return said
