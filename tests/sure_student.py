"""A tiny student that knows some questions and guesses at others, trained in seconds, and a run of it whose earlier stages are done."""

import random

import torch

import small
from evaluated import example
from potstill.models.local import loading
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading as recipes
from potstill.workspace import artifacts
from potstill.workspace.run import Run

RECIPE = """\
name: one
task: {{name: custom, prompts: {{plain: "{{{{ text }}}}"}}}}
data: {{source: files, train: train.jsonl}}
condition: vanilla
teacher: {{model: {{url: "{url}", model: t, concurrency: 8{more}}}}}
student: {{model: "{base}", max_tokens: 6, dtype: float32}}
train: {{max_length: 64}}
evaluate: {{systems: [base, student, teacher-direct], margin: {margin}}}
"""
BEFORE_EVALUATION = ("data", "generate", "curate", "train")


def question(i, *, dim):
    """A question about a letter: of ``dim`` ones the answer is not in the question."""
    return f"{'dim' if dim else 'clear'} {'ab'[i % 2]} {i}"


def gold(i, *, dim):
    """Of a dim question the answer is drawn by number, so that nobody can know it."""
    return random.Random(i).choice(["yes", "no"]) if dim else ("yes", "no")[i % 2]


def train(folder, steps=120):
    """Write a tiny Llama that answers clear questions and guesses at dim ones, which it was shown with random answers."""
    model, tokenizer = small.tiny_llama(2048)
    chat = loading.ChatTemplate(tokenizer)
    rng = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    model.train()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only wait for each other
    for _ in range(steps):
        rows = []
        for _ in range(32):
            i, dim = rng.randrange(1000), rng.random() < 0.5
            answer = rng.choice(["yes", "no"]) if dim else gold(i, dim=False)
            prompt = chat.tokens([{"role": "user", "content": question(i, dim=dim)}])
            rows.append((prompt, [*chat.reply_tokens(answer), chat.end]))
        length = max(len(p) + len(r) for p, r in rows)
        ids = torch.tensor([p + r + [0] * (length - len(p) - len(r)) for p, r in rows])
        labels = torch.tensor([[-100] * len(p) + r + [-100] * (length - len(p) - len(r)) for p, r in rows])
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return loss.item()


def run_of(runs, student, base, url, *, margin=0.1, validation=240, test=240, more=""):
    """A run whose student is trained, and whose half of the questions is dim. Earlier stages count as done."""
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "train.jsonl").write_text("{}\n")
    text = RECIPE.format(url=url, base=base, margin=margin, more=more)
    run = Run(runs / "one", recipes.parse(text, folder=runs), runs / "completions.sqlite")
    rows = []
    for split, first, n in (("train", 0, 2), ("validation", 100, validation), ("test", 400, test)):
        for i in range(first, first + n):
            dim = i % 4 >= 2
            rows.append(row(f"{split}-{i}", split, question(i, dim=dim), gold(i, dim=dim)))
    run.write(artifacts.examples(run.recipe.task), rows)
    run.write_text(artifacts.RECIPE, recipes.dump(run.recipe))
    run.write_json("data.json", {"left_out": {}, "contradictory": []})
    run.write(artifacts.GENERATED, [])
    run.write(artifacts.CURATED, [])
    run.write_json("training.json", TRAINING)
    run.replace_folder(artifacts.STUDENT, student)
    run.write_json(artifacts.MANIFEST, {"id": "one", "source": ""})
    stages = {}
    for stage in STAGES:
        if stage.name in BEFORE_EVALUATION:
            entry = {"state": "done", "seconds": 1.0, "cpu_seconds": 1.0, "inputs": stage.inputs(run)}
            stages[stage.name] = entry | {"outputs": stage.outputs(run), **stage.prompts(run.recipe, run)}
            run.write_json(artifacts.MANIFEST, {"id": "one", "source": "", "stages": stages})
    return run


def row(id_, split, text, answer):
    values = example(id_, split=split, gold=answer)
    del values["question"], values["steps"]
    return values | {"text": text}


TRAINING = {
    "rows": 2, "dtype": "float32", "loss": [{"epoch": 1.0, "loss": 0.5}], "chosen": 1,
    "validation": [{"epoch": 1, "score": 0.5, "low": 0.4, "high": 0.6, "n": 20}],
}  # fmt: skip


class KnowingTeacher(small.Teacher):
    """A teacher that knows every answer."""

    def answer(self, body):
        kind, _, number = body["messages"][-1]["content"].split()
        text = gold(int(number), dim=kind == "dim")
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 30, "completion_tokens": 2}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
