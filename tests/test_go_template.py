"""A student's chat template in Go, for Ollama."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import small
import students
from potstill.errors import RecipeError
from potstill.export.go_rendering import render
from potstill.export.go_template import go_template, trims
from potstill.export.modelfile import template_of
from potstill.models.local.chat_template import ChatTemplate

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful "
    "\"assistant\" {of} SmolLM<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + "
    "'\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chat_of(family, template=""):
    tokenizer = students.tokenizer_of(family)
    if template:
        tokenizer.chat_template = template
    return ChatTemplate(tokenizer)


def said(*turns):
    return [{"role": role, "content": text} for role, text in turns]


CHATS = [
    said(("user", "What is 3 < 4?")),
    said(("system", "Be brief."), ("user", "Why?")),
    said(("user", "a"), ("assistant", "b"), ("user", "c\n\nd")),
    said(
        ("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "{{ .System }}")
    ),
]


@pytest.mark.parametrize("family", ["chatml", "llama", "phi", "qwen", "gemma", "no end token"])
def test_it_renders_what_the_students_template_renders(family):
    chat = chat_of(family)
    template = go_template(chat)
    shown = [messages for messages in CHATS if not chat.refusal([m["role"] for m in messages])]
    assert len(shown) >= 2
    for messages in shown:
        assert render(template, messages) == chat.text(messages)


def test_a_default_system_message_is_written_only_where_there_is_none():
    chat = chat_of("chatml", SMOLLM)
    template = go_template(chat)
    for messages in CHATS:
        assert render(template, messages) == chat.text(messages)
    assert '"assistant" {of}' in render(template, CHATS[0])
    assert "SmolLM" not in render(template, CHATS[1])


def test_a_template_that_treats_messages_by_their_place_is_refused():
    with pytest.raises(RecipeError, match=r"cannot be written for Ollama: .*system, user, assistant, user.*--to gguf"):
        go_template(chat_of("mistral"))
    counting = "{% for m in messages %}{{ loop.index }}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with pytest.raises(RecipeError, match="cannot be written for Ollama"):
        go_template(chat_of("chatml", counting))
    loud = "{% for m in messages %}{{ m.role }}: {{ m.content | upper }}\n{% endfor %}"
    with pytest.raises(RecipeError, match="leaves out the user message"):
        go_template(chat_of("chatml", loud))


def test_that_a_template_trims_messages_is_known():
    assert trims(chat_of("llama"))
    assert not trims(chat_of("chatml"))


def test_no_text_of_a_template_ends_an_action_or_the_modelfile():
    odd = '{{ bos_token }}{% for m in messages %}{{ \'}} """ {{- -}} \\\\ "\' + m.role + "\t\n" }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}'
    chat = chat_of("llama", odd)
    template = go_template(chat)
    assert '"""' not in template
    assert template_of(f'FROM ./x\nTEMPLATE """{template}"""\nPARAMETER stop "a"') == template
    assert all(render(template, messages) == chat.text(messages) for messages in CHATS)


def test_messages_of_one_role_are_merged_as_ollama_does():
    template = go_template(chat_of("chatml"))
    assert render(template, said(("user", "a"), ("user", "b"))) == render(template, said(("user", "a\n\nb")))


@pytest.mark.parametrize("broken", ["{{- if .System -}}", "{{- end -}}", "{{- .Tools -}}", "{{ printf 3 }}"])
def test_what_is_no_such_template_is_an_error(broken):
    with pytest.raises(ValueError, match=r"action|if|part"):
        render(broken, CHATS[0])


@given(st.lists(st.text(min_size=1), min_size=3, max_size=3))
def test_any_message_is_shown_as_it_is(texts):
    assert texts[0] in render(TEMPLATE, said(("system", texts[0]), ("user", texts[1])))
    chat = said(("user", texts[0]), ("assistant", texts[1]), ("user", texts[2]))
    assert render(TEMPLATE, chat) == CHATML.text(chat)


CHATML = chat_of("chatml")
TEMPLATE = go_template(CHATML)


def test_the_tiny_models_of_tests_have_a_template_in_go():
    _, tokenizer = small.tiny_llama()
    assert go_template(ChatTemplate(tokenizer))
