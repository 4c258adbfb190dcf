"""lm-evaluation-harness with its ``hf`` model: argv has the model's folder, a file of prompts, the batch size and the limit on new
tokens; prints the seconds of generation, without loading, and the texts."""

import json
import sys
import time
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

folder, file, dtype, batch_size, limit = sys.argv[1:]
asked = json.loads(Path(file).read_text())
model = HFLM(pretrained=folder, dtype=dtype, batch_size=int(batch_size), device="cpu")
options = {"until": asked["until"], "max_gen_toks": int(limit), "do_sample": False}


def requests(prompts):
    return [
        Instance(request_type="generate_until", doc={}, arguments=(prompt, dict(options)), idx=i)
        for i, prompt in enumerate(prompts)
    ]


model.generate_until(requests(asked["prompts"][:2]), disable_tqdm=True)
ids = [model.tok_encode(prompt) for prompt in asked["prompts"]]
began = time.perf_counter()
texts = model.generate_until(requests(asked["prompts"]), disable_tqdm=True)
print(json.dumps({"seconds": time.perf_counter() - began, "texts": texts, "ids": ids}))
