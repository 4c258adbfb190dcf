"""The GPU that models in this process are on."""


def memory_bytes() -> int:
    """Memory of the first GPU, in bytes; 0 if there is none, or none that torch can use."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0


def use(number: int) -> None:
    """Load the models of this process on the GPU of this number, if there are GPUs: each of several processes has its own."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(number)
