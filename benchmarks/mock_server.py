"""python benchmarks/mock_server.py: a fast chat-completions server that answers about 60 tokens after a fixed delay.

It prints its port and runs until its standard input is closed. /v1 answers every request. /faulty/v1 answers about 5 % of
the requests with an error, drawn by seed: half of them 429 with Retry-After: 1, half 500. GET /stats returns the number of
requests received, of those in flight, and of distinct prompts; GET /reset restarts these counts (except those in flight)
and the errors. An answer depends on the request alone.
"""

import argparse
import asyncio
import hashlib
import json
import random
import sys
from collections import Counter
from typing import ClassVar

import orjson
import uvloop

DELAY_SECONDS = 0.05
WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had an
they which""".split()  # noqa: SIM905


class Server(asyncio.Protocol):
    requests = in_flight = 0
    delay = DELAY_SECONDS
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
            self.handle(head.split(b" ", 2)[1], body)

    def handle(self, path, body):
        if path == b"/stats":
            counts = {"requests": Server.requests, "in_flight": Server.in_flight, "distinct": len(Server.seen)}
            self.send(b"200 OK", json.dumps(counts).encode())
        elif path == b"/reset":
            Server.requests = 0
            Server.seen.clear()
            Server.errors = random.Random(0)
            self.send(b"200 OK", b"{}")
        else:
            Server.requests += 1
            Server.in_flight += 1
            messages = orjson.loads(body)["messages"] or [{"content": ""}]  # curator's first request has none
            question = messages[-1]["content"]
            Server.seen[hashlib.sha256(str(question).encode()).digest()] += 1
            asyncio.get_running_loop().call_later(Server.delay, self.reply, path, str(question))

    def reply(self, path, question):
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
        completion = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "mock",
            "choices": [choice],
            "usage": usage,
        }
        self.send(b"200 OK", orjson.dumps(completion))

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
    await loop.run_in_executor(None, sys.stdin.read)  # until the process that started it has ended


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=DELAY_SECONDS, help="seconds until an answer")
    Server.delay = parser.parse_args().delay
    uvloop.run(main())
