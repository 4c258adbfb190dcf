"""Runs whose student can be served, and servers as a user starts them."""

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import forked
import small
import tiny_gguf
from evaluated import example
from potstill.models.local import loading
from potstill.models.local.packaged import file_sha256
from potstill.recipe import loading as recipes
from potstill.workspace import artifacts, exports
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

RECIPE = """\
name: {name}
task: {task}
data: {{source: files, train: train.jsonl{data}}}
teacher: {{model: {teacher}}}
student: {{model: "{student}", max_tokens: 12}}
train: {{max_length: 64}}
{more}
"""
FORM = "gguf-f16"


def run_with_student(
    runs,
    weights,
    gguf,
    *,
    name="one",
    task="math",
    data="",
    teacher="packaged/qwen2.5-coder-0.5b-instruct",
    more="",
    rows=(),
):
    """A trained run with an export that passed its gate; ``gguf`` is the student's file, None for no export."""
    text = RECIPE.format(name=name, task=task, data=data, teacher=teacher, student=weights, more=more)
    run = Run(runs / name, recipes.parse(text, folder=runs), runs / "completions.sqlite")
    run.write(artifacts.examples(run.recipe.task), rows or [example("a", split="train", question="What is 2 + 3?")])
    run.write_text(artifacts.RECIPE, recipes.dump(run.recipe))
    shutil.copytree(weights, run.student_folder)
    prompts = {"sha256": loading.load_chat(run.student_folder).digest(), "pinned": []}
    train = {"state": "done", "prompts": prompts, "outputs": {artifacts.STUDENT: run.digest(Part(artifacts.STUDENT))}}
    run.write_json(artifacts.MANIFEST, {"id": name, "stages": {"train": train}})
    if gguf:
        add_export(run, gguf)
    return run


def add_export(run, gguf):
    folder = exports.folder(run, FORM)
    folder.mkdir(parents=True)
    shutil.copyfile(gguf, folder / exports.content(FORM))
    record = exports.Record(
        form="gguf", student=run.digest(Part(artifacts.STUDENT)), settings={}, content=run.digest(exports.part(FORM)), versions={},
        files={exports.content(FORM): file_sha256(gguf)}, gate={"state": "passed", "lines": []},
    )  # fmt: skip
    run.write_json(f"{artifacts.EXPORTS}/{FORM}/{exports.RECORD}", record)


def tiny_weights(folder, gguf):
    """The Llama of `small` as a folder and as a GGUF file."""
    small.save_tiny_llama(folder)
    tiny_gguf.write(folder, gguf)


def endless_weights(folder, gguf):
    """A larger one, which needs a second or two for an answer, and never ends one before its limit."""
    _, tokenizer = small.tiny_llama()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=512, num_hidden_layers=12, num_attention_heads=8,
        max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id, bos_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 0  # never the largest of so many random numbers
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tiny_gguf.write(folder, gguf)


def eventually(condition, seconds=10):
    """What ``condition`` returns as soon as it is true, or last."""
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


class Server:
    """`potstill serve` as a user types it, within a context. ``lines`` is what it printed until it was ready."""

    def __init__(self, runs, *arguments, name="one", env=()):
        self.arguments = ["serve", name, "--runs", str(runs), "--port", "0", *map(str, arguments)]
        self.cwd, self.env = runs, {**os.environ, "HF_HUB_OFFLINE": "1", **dict(env)}

    def __enter__(self):
        reading, writing = os.pipe()
        self._log = open(self.cwd / f"server-{id(self)}.log", "w+b")
        with open(writing, "wb") as output:
            self.command = forked.Command(self.arguments, self.cwd, self.env, output, self._log)
        self._output = os.fdopen(reading)
        self.lines = []
        for line in self._output:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        else:
            raise AssertionError(f"it ended with {self.command.wait()}: {self.errors()}")
        self.address = next(line for line in self.lines if "/v1," in line).split("is at ")[1].split("/v1")[0]
        self.ended = None
        return self

    def errors(self):
        """What it has written to standard error."""
        with open(self._log.name, encoding="utf-8") as log:
            return log.read()

    def end(self, number=signal.SIGTERM):
        """Its exit code after a signal; None for no signal."""
        if self.ended is None:
            if number is not None:
                self.command.send_signal(number)
            self.ended = self.command.wait()
        return self.ended

    def __exit__(self, *_):
        self.end()
        self._output.close()
        self._log.close()

    def client(self, key="none"):
        from openai import OpenAI

        return OpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, timeout=60)

    def metrics(self):
        """The values of all metrics, by name and labels."""
        with urllib.request.urlopen(f"{self.address}/metrics") as response:
            lines = response.read().decode().splitlines()
        return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}

    def post(self, body, **headers):
        """The status, JSON and headers of a raw request."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}/v1/chat/completions", data, {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response), response.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers
