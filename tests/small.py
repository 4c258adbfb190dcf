"""Small real parts for tests and benchmarks: a random Llama on disk, and a teacher whose answers depend on the request alone."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import forked
from potstill.models import Request

TEMPLATE = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}"


def tiny_llama(context=128):
    """A Llama with random weights, and a tokenizer of bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*alphabet, "<end>"])}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", chat_template=TEMPLATE)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        initializer_range=0.3,  # with the usual 0.02 the prompt hardly changes an answer, and all end alike
    )  # fmt: skip
    return LlamaForCausalLM(config), tokenizer


def save_tiny_llama(folder):
    model, tokenizer = tiny_llama(2048)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


LLAMA_31 = """{{ bos_token }}{% if messages[0].role == "system" %}{% set system, rest = messages[0].content | trim, messages[1:] %}{% else %}{% set system, rest = "", messages %}{% endif %}<|start_header_id|>system<|end_header_id|>

Cutting Knowledge Date: December 2023
Today Date: 26 Jul 2024

{{ system }}<|eot_id|>{% for m in rest %}<|start_header_id|>{{ m.role }}<|end_header_id|>

{{ m.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}"""
"""The form of Llama 3.1's chats, as its model card describes it."""


def save_tiny_llama_31(folder):
    """Llama 3.1's architecture (grouped queries, its scaled rotary embedding, its special tokens and chat form), random."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate([*alphabet, *special])}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=special[0], eos_token=special[3], chat_template=LLAMA_31
    )
    torch.manual_seed(0)
    scaling = {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=131072, rope_parameters=scaling, rms_norm_eps=1e-5,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class Teacher:
    """A chat-completions server on a loopback port. ``seen`` counts requests by their whole body.

    After ``busy_after`` answers it answers with status 429.
    """

    def __init__(self, delay=0.0, busy_after=None):
        self.seen, self.now, self.delay, self.lock = Counter(), 0, delay, threading.Lock()
        self.busy_after = busy_after
        teacher = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with teacher.lock:
                    teacher.seen[body] += 1
                    teacher.now += 1
                    busy = teacher.busy_after is not None and teacher.seen.total() > teacher.busy_after
                time.sleep(teacher.delay)
                reply = json.dumps(teacher.answer(json.loads(body))).encode()
                with teacher.lock:
                    teacher.now -= 1
                self.send_response(429 if busy else 200)
                if busy:
                    self.send_header("Retry-After", "300")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionError:  # the asker was killed
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, body):
        digest = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        text = f"It is {digest[:12]}.\nAnswer: {int(digest, 16) % 50}"
        message = {"role": "assistant", "content": text}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 12},
        }

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()


def questions(n):
    return [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(n)]


OFFLINE = {"HF_HUB_OFFLINE": "1"}


def potstill(*arguments, cwd, before=(), env=()):
    """The command as a user types it, offline; its output and exit code. ``before``: words that precede it, as of ``nice``.

    With these or an ``env``, which may decide how an interpreter starts, it is a new interpreter, else a forked one (`forked`).
    """
    whole_env = {**os.environ, **OFFLINE, **dict(env)}
    if not before and not env:
        return forked.run([*map(str, arguments)], cwd, whole_env)
    command = [*before, sys.executable, "-m", "potstill", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=whole_env, capture_output=True, text=True, check=False)


class Begun:
    """The command as a user types it, offline, while it runs. Its output is not kept."""

    def __init__(self, *arguments, cwd):
        reading, writing = os.pipe()
        self.stderr = os.fdopen(reading)
        with open(writing, "wb") as errors, open(os.devnull, "wb") as nothing:
            self._command = forked.Command([*arguments], cwd, {**os.environ, **OFFLINE}, nothing, errors)
        self.pid, self.send_signal = self._command.pid, self._command.send_signal

    def wait_for(self, line):
        """Read what it prints until that contains ``line``."""
        for printed in self.stderr:
            if line in printed:
                return
        raise AssertionError(f"it ended without printing {line!r}")

    def end(self):
        """The rest of what it prints until it ends, and its exit code."""
        with self.stderr:
            return self.stderr.read(), self._command.wait()


RECIPE = """\
name: small
task: math
data: {{source: word_problems, train: 24, validation: 3, test: 8, test_unseen: 4}}
teacher: {{model: {{url: "{url}", model: t, concurrency: 4}}}}
generate: {{max_tokens: 64}}
curate: {{filters: [parsed, finished, duplicate, in-test-set, too-long]}}
student: {{model: "{student}", max_tokens: 8}}
train: {{epochs: 2, learning_rate: 1.0e-3, lora: {{dropout: 0.1}}}}
evaluate: {{systems: [base, student, teacher-direct]}}
seed: 3
"""
