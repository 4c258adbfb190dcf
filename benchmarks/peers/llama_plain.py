"""python llama_plain.py MODEL.gguf PORT SLOTS: xllamacpp's server with its default settings, but for the number of slots."""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
server = xllamacpp.Server(params)
signal.pause()
