"""A chat-completions server on loopback whose responses are a function of the request; it counts what it was asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store


def said(text, finish="stop", usage=None, **message):
    usage = usage or {"prompt_tokens": 30, "completion_tokens": 9}
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return 200, {"object": "chat.completion", "choices": [choice], "usage": usage}


def refused(message, status=400, **more):
    return status, {"error": {"message": message, **more}}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class FaultyServer:
    """``respond(body)`` returns a status and a JSON value or bytes."""

    def __init__(self, respond):
        self.respond, self.bodies = respond, []
        owner, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    owner.bodies.append(body)
                status, value = owner.respond(body)
                sent = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def fields(self):
        """The optional fields of each request, in order."""
        return [sorted(body.keys() - {"model", "messages"}) for body in self.bodies]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *args):
        self._server.shutdown()
        self._server.server_close()

    def complete(self, store, asked, min_success=0.0, **endpoint):
        """The completions of requests; the store is a file, which later calls can use again."""
        model = ChatModel(Endpoint(url=self.url, model="m", **endpoint))
        return list(complete(model, asked, "teacher", Billing(Store(store), min_success=min_success)))


@contextmanager
def faulty(respond):
    with FaultyServer(respond) as server:
        yield server


def asking(n, sampling=None, system="", schema=None):
    """Requests, whose questions are q0, q1, ..."""
    before = [{"role": "system", "content": system}] if system else []
    return [
        Request(str(i), [*before, {"role": "user", "content": f"q{i}"}], sampling or Sampling(), schema=schema)
        for i in range(n)
    ]


def question(body):
    return body["messages"][-1]["content"]
