"""The fused training step: loss and gradients as those of the modules of transformers and PEFT."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

from hardware import needs_bfloat16
from potstill.stages.train.fused import families
from potstill.stages.train.fused.batch import shared
from potstill.stages.train.targets import IGNORED
from potstill.stages.train.trainer import summed_loss

SIZES = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama with scaled rotation": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZES, rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0})
    ),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),  # with biases
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES | {"num_key_value_heads": 4}, sliding_window=None)),
}
PREFIX = 5


def built(name, method, **options):
    torch.manual_seed(0)
    model = MODELS[name]()
    model.set_attn_implementation("eager")
    for key, parameter in model.named_parameters():
        if key.endswith("bias"):
            torch.nn.init.normal_(parameter)
    if method == "full":
        return model
    model = get_peft_model(model, LoraConfig(r=3, lora_alpha=7, target_modules="all-linear", **options))
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def rows(lengths=(11, 14, 12), prefix=PREFIX, seed=1, labelled=4):
    """Right-padded rows that share ``prefix`` tokens, with labels on the last ``labelled`` tokens of each."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 97, (len(lengths), max(lengths)), generator=generator)
    ids[:, :prefix] = ids[0, :prefix].clone()
    ids[:, prefix] = torch.arange(len(lengths))  # where rows begin to differ
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        labels[row, length - labelled : length] = ids[row, length - labelled : length]
        mask[row, :length] = 1
    return ids, labels, mask


def gradients(model, loss):
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_gradients_are_those_of_the_modules(name, method):
    model = built(name, method)
    ids, labels, mask = rows()
    usual = summed_loss(model, {"input_ids": ids, "attention_mask": mask}, labels)
    expected = gradients(model, usual)
    loss = families.decoder(model, torch.float32).summed_loss(shared(ids, labels))
    found = gradients(model, loss)
    assert loss.item() == pytest.approx(usual.item(), rel=1e-5)
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=2e-3, atol=2e-4, msg=key)
    # Weights are views of joined ones: the modules must still read them.
    again = summed_loss(model, {"input_ids": ids, "attention_mask": mask}, labels)
    assert again.item() == pytest.approx(usual.item(), rel=1e-6)


@needs_bfloat16
@pytest.mark.parametrize("method", ["lora", "full"])
def test_bfloat16_is_as_exact_as_autocast(method):
    ids, labels, mask = rows()
    exact = built("llama", method)
    wanted = gradients(exact, summed_loss(exact, {"input_ids": ids, "attention_mask": mask}, labels))
    model = built("llama", method)
    if method == "lora":
        for key, parameter in model.named_parameters():
            if "lora_" not in key:
                parameter.data = parameter.data.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        usual = gradients(model, summed_loss(model, {"input_ids": ids, "attention_mask": mask}, labels))
    found = gradients(model, families.decoder(model, torch.bfloat16).summed_loss(shared(ids, labels)))

    def error(of):
        return sum((of[key] - wanted[key]).norm() / wanted[key].norm() for key in wanted) / len(wanted)

    assert {gradient.dtype for gradient in found.values()} == {torch.float32}
    assert error(found) < 1.2 * error(usual)


def test_rows_cannot_read_each_other():
    """Other tokens in the other rows change neither the loss of a row nor the gradients from it."""
    decoder = families.decoder(model := built("llama", "lora"), torch.float32)
    ids, labels, _ = rows()
    labels[1:] = IGNORED
    results = []
    for seed in (2, 3):
        others = rows(seed=seed)[0]
        others[0], others[:, :PREFIX] = ids[0], ids[0, :PREFIX]
        batch = shared(others, labels)
        assert (batch.prefix, batch.rows) == (PREFIX, 3)
        loss = decoder.summed_loss(batch)
        results.append((loss.item(), gradients(model, loss)))
    alone = decoder.summed_loss(shared(ids[:1], labels[:1]))
    results.append((alone.item(), gradients(model, alone)))
    for loss, of in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-5)
        for key, gradient in of.items():
            torch.testing.assert_close(gradient, results[0][1][key], rtol=1e-3, atol=1e-5, msg=key)


def test_the_prefix_ends_before_the_first_prediction():
    """Two answers to one question: the last token of the prompt predicts another label in each."""
    ids = torch.tensor([[1, 2, 3, 4, 5], [1, 2, 3, 6, 7]])
    labels = torch.tensor([[IGNORED] * 3 + [4, 5], [IGNORED] * 3 + [6, 7]])
    batch = shared(ids, labels)
    assert batch.prefix == 2
    assert batch.ids.tolist() == [1, 2, 3, 4, 5, 3, 6, 7]
    assert batch.predicted.tolist() == [2, 3, 5, 6]
    assert batch.targets.labels.tolist() == [4, 5, 6, 7]
    model = built("llama", "full")
    expected = summed_loss(model, {"input_ids": ids}, labels)
    assert families.decoder(model, torch.float32).summed_loss(shared(ids, labels)).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_a_row_alone_has_no_prefix():
    ids, labels, _ = rows(lengths=(9,))
    assert shared(ids, labels).prefix == 0


def test_other_models_have_no_fused_step():
    assert families.decoder(built("llama", "lora", lora_dropout=0.1), torch.float32) is None
    windowed = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=8))
    assert families.decoder(windowed, torch.float32) is None
    other = built("llama", "full")
    other.config.hidden_act = "gelu"
    assert families.decoder(other, torch.float32) is None
