"""A server on a loopback port that plays the part of the hub that uploads use."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """``repositories``: the requests to create one. ``files``: what was committed, by path. ``tokens``: of the requests.

    ``refuses``: the status with which a commit is refused.
    """

    def __init__(self, refuses=0):
        self.repositories, self.files, self.large, self.tokens, self.seen = [], {}, {}, set(), []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.body()
                hub.tokens.add(self.headers.get("Authorization", ""))
                hub.seen.append(self.path)
                if self.path.endswith("/create"):
                    hub.repositories.append(json.loads(body))
                    self.reply({"url": f"{hub.url}/org/name"})
                elif self.path.endswith("/validate-yaml"):
                    self.reply({"errors": [], "warnings": []})
                elif "/preupload/" in self.path:
                    files = json.loads(body)["files"]
                    self.reply({"files": [self.mode(file) for file in files]})
                elif self.path.endswith("/objects/batch"):
                    objects = [
                        {**one, "authenticated": True, "actions": {"upload": {"href": f"{hub.url}/put/{one['oid']}"}}}
                        for one in json.loads(body)["objects"]
                    ]
                    self.reply({"transfer": "basic", "objects": objects})
                elif "/commit/" in self.path:
                    self.commit([json.loads(line) for line in body.splitlines()])
                else:
                    self.reply({"error": "not played"}, 404)

            def do_PUT(self):
                hub.large[self.path.removeprefix("/put/")] = self.body()
                self.reply({})

            def commit(self, lines):
                if refuses:
                    self.reply({"error": "You have no access to this organization"}, refuses)
                    return
                for line in lines:
                    value = line["value"]
                    if line["key"] == "file":
                        hub.files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        hub.files[value["path"]] = hub.large[value["oid"]]
                self.reply(
                    {"success": True, "commitOid": "a" * 40, "commitUrl": f"{hub.url}/org/name/commit/{'a' * 40}"}
                )

            def mode(self, file):
                large = file["path"].endswith((".gguf", ".safetensors"))
                return {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

            def body(self):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def reply(self, values, status=200):
                content = json.dumps(values).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
