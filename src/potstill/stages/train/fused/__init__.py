"""The training step on a CPU of decoders like Llama, in few and large products.

It takes the same steps as the modules of transformers and PEFT: products are joined, a prefix that all rows begin with is
computed once, gradients of frozen weights are not computed, and what is cheap to compute is computed again rather than kept.
"""
