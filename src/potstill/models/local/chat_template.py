"""What a tokenizer's chat template makes of a chat."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, str]]


def prompt_text(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    """The messages as text, up to the start of the assistant's reply."""
    return str(tokenizer.apply_chat_template([dict(m) for m in messages], tokenize=False, add_generation_prompt=True))


def around_replies(tokenizer: PreTrainedTokenizerBase, messages: Messages, turns: int) -> list[str]:
    """The texts before each of the last ``turns`` replies, the last of which follows the messages.

    The first is the prompt of the first of these replies, each other one goes from the end of a reply to the start of the
    next, so that each reply begins where the prompt for it ends. Raises `ValueError` where the template shows a reply of an
    earlier turn otherwise than it was written, as templates do that remove the thoughts from it.
    """
    replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    starts = [*replies[len(replies) - (turns - 1) :], len(messages)]
    prompts = [prompt_text(tokenizer, messages[:start]) for start in starts]
    texts = prompts[:1]
    for start, before, after in zip(starts, prompts, prompts[1:], strict=False):
        written = before + messages[start]["content"]
        if not after.startswith(written):
            raise ValueError("the chat template rewrites earlier turns")
        texts.append(after[len(written) :])
    return texts


def end_token_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end a reply."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None}


def end_of_turn(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The token with which the template ends a reply, such as Gemma's ``<end_of_turn>``, if it is one of the
    `end_token_ids`; otherwise the tokenizer's end of a sequence."""
    question = {"role": "user", "content": "a"}
    written = prompt_text(tokenizer, [question]) + "b"
    chat = str(tokenizer.apply_chat_template([question, {"role": "assistant", "content": "b"}], tokenize=False))
    rest = chat[len(written) :].lstrip() if chat.startswith(written) else ""
    ids = tokenizer(rest, add_special_tokens=False)["input_ids"]
    return int(ids[0] if ids and ids[0] in end_token_ids(model, tokenizer) else tokenizer.eos_token_id)
