"""A llama.cpp server in this process, which runs until it is killed. Arguments: MODEL.gguf PORT SLOTS CONTEXT."""

import signal
import sys

import xllamacpp


def main() -> None:
    path, port, slots, context = sys.argv[1], *map(int, sys.argv[2:5])
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"] if hasattr(params, "hostnames") else None
    params.port = port
    params.n_parallel = slots
    params.n_ctx = context * slots  # llama.cpp divides it among its slots
    params.kv_unified = False
    params.ui = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
