"""A chat-completions server that costs little: an answer of about 60 tokens after a delay, errors where they are wanted.

python benchmarks/mock_server.py prints its port. Paths: /v1 answers everything, /faulty/v1 gives every twentieth request
an error (half 429 with Retry-After: 1, half 500, by a seeded stream). GET /stats tells requests and those in flight,
GET /reset sets them to nought. An answer depends on the request alone.
"""

import asyncio
import hashlib
import json
import random
import sys
from collections import Counter
from typing import ClassVar

import orjson
import uvloop

DELAY = 0.05
WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which""".split()  # noqa: SIM905


class Server(asyncio.Protocol):
    requests = in_flight = 0
    seen: ClassVar = Counter()
    errors = random.Random(0)

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n")[1:]:
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            self.answer(head.split(b" ", 2)[1], body)

    def answer(self, path, body):
        if path == b"/stats":
            seen = {"requests": Server.requests, "in_flight": Server.in_flight, "distinct": len(Server.seen)}
            self.send(b"200 OK", json.dumps(seen).encode())
        elif path == b"/reset":
            Server.requests = 0
            Server.seen.clear()
            Server.errors = random.Random(0)
            self.send(b"200 OK", b"{}")
        else:
            Server.requests += 1
            Server.in_flight += 1
            messages = orjson.loads(body)["messages"] or [{"content": ""}]  # curator begins with an empty one
            question = messages[-1]["content"]
            Server.seen[hashlib.sha256(str(question).encode()).digest()] += 1
            asyncio.get_running_loop().call_later(DELAY, self.say, path, str(question))

    def say(self, path, question):
        Server.in_flight -= 1
        if path.startswith(b"/faulty") and Server.errors.random() < 0.05:
            if Server.errors.random() < 0.5:
                self.send(b"429 Too Many Requests", b'{"error": {"message": "slower"}}', b"Retry-After: 1\r\n")
            else:
                self.send(b"500 Internal Server Error", b'{"error": {"message": "oh"}}')
            return
        digest = hashlib.sha256(question.encode()).digest()
        text = " ".join(WORDS[byte % len(WORDS)] for byte in digest + digest[:28])
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80}
        answer = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "mock",
            "choices": [choice],
            "usage": usage,
        }
        self.send(b"200 OK", orjson.dumps(answer))

    def send(self, status, body, headers=b""):
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                % (status, headers, len(body), body)
            )


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started it is gone


uvloop.run(main())
