"""python transformers_server.py FOLDER PORT DTYPE: transformers' `generate` behind the simplest server that batches.

Requests that wait when a batch ends are the next batch, at most 16, padded on the left and sorted by length of the prompt; all of a batch
are answered when its last answer has ended. GET /health answers when the model is loaded.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_AT_ONCE = 16


def main():
    folder, port, dtype = sys.argv[1], int(sys.argv[2]), getattr(torch, sys.argv[3])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    tokenizer.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    waiting, thread = [], ThreadPoolExecutor(1)
    arrived = asyncio.Event()

    @torch.inference_mode()
    def generate(batch):
        prompts = [ids for ids, _, _ in batch]
        width = max(map(len, prompts))
        pad = tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        out = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max(limit for _, limit, _ in batch), do_sample=False,
            temperature=None, top_p=None, top_k=None, repetition_penalty=None, pad_token_id=pad,
        )  # fmt: skip
        return [
            (tokenizer.decode(row[width:], skip_special_tokens=True), count(row[width:].tolist(), pad)) for row in out
        ]

    def count(ids, pad):
        while ids and ids[-1] == pad:
            ids.pop()
        return len(ids)

    async def work():
        while True:
            await arrived.wait()
            batch = sorted(waiting[:MOST_AT_ONCE], key=lambda one: len(one[0]))
            del waiting[:MOST_AT_ONCE]
            if not waiting:
                arrived.clear()
            answers = await asyncio.get_running_loop().run_in_executor(thread, generate, batch)
            for (_, _, answered), answer in zip(batch, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)

    async def chat(request):
        body = await request.json()
        text = tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        answered = asyncio.get_running_loop().create_future()
        waiting.append((ids, body["max_tokens"], answered))
        arrived.set()
        text, tokens = await answered
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return JSONResponse({"choices": [choice], "usage": {"completion_tokens": tokens}})

    async def health(request):
        return JSONResponse({"status": "ok"})

    async def serve():
        working = asyncio.create_task(work())
        app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/health", health)])
        await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical")).serve()
        working.cancel()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
