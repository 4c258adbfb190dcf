"""A llama.cpp server in this process, which runs until it is killed. A script; --help lists its arguments."""

import argparse
import os
import signal

KEY = "POTSTILL_ENGINE_KEY"
"""Environment variable with a key that requests must carry; it is neither in the command line nor in the log."""
HTTP_THREADS = 8
"""Threads for connections besides those that wait for an answer: llama.cpp gives each open connection a thread."""
WARNINGS = 2
"""Verbosity of the log: it must not grow with the number of requests."""


def main() -> None:
    import xllamacpp

    options = arguments()
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.context * options.slots  # llama.cpp divides it among its slots
    params.kv_unified = False
    params.ui = False
    params.n_threads_http = options.slots + HTTP_THREADS
    params.verbosity = WARNINGS
    if options.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.flash_attn_type = xllamacpp.llama_flash_attn_type[f"LLAMA_FLASH_ATTN_TYPE_{options.flash_attention.upper()}"]
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type[f"GGML_TYPE_{options.cache_type.upper()}"]
    if options.copy_weights:
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    if options.stored_prompts_mib is not None:
        params.cache_ram_mib = options.stored_prompts_mib
    if key := os.environ.get(KEY):
        params.api_keys = [key]
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True, help="requests that are answered at once")
    parser.add_argument("--context", type=int, required=True, help="tokens of prompt and answer, for each slot")
    parser.add_argument("--threads", type=int, default=0, help="0: llama.cpp chooses")
    parser.add_argument("--flash-attention", choices=("auto", "enabled", "disabled"), default="auto")
    parser.add_argument("--cache-type", choices=("f16", "f32", "q8_0"), default="f16", help="keys and values")
    parser.add_argument("--stored-prompts-mib", type=int, help="memory for prompts besides those in the slots")
    parser.add_argument(
        "--copy-weights", action="store_true", help="into this process's memory, not mapped from the file"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
