"""A teacher that replies in the forms that the paper's prompts want, and rows in the format of its data sets."""

import json

import small

CHAT = "A talk.\n[|Human|] Why is tea {i}?\n[|AI|] It is brewed {i} times.\n[|Human|] "
ROWS = {
    "conjnli": lambda i: {"premise": f"Ann and Bo{i} sing.", "hypothesis": f"Bo{i} sings.", "label": i % 3},
    "commonsense_qa": lambda i: {
        "id": f"q{i}", "question": f"Where is cup {i}?", "answerKey": "AB"[i % 2],
        "choices": {"label": ["A", "B"], "text": [f"shelf {i}", f"sea {i}"]},
    },
    "multiarith": lambda i: {"question": f" What is {i} + {i}? ", "final_ans": str(2 * i)},
    "chain_of_density": lambda i: {"article": f"Lunch at {i} with Ann.", "highlights": f"Lunch at {i}.", "id": str(i)},
    "baize_quora": lambda i: {"chat_sample": CHAT.format(i=i), "dataset_origin": "quora" if i % 2 else "medical"},
}  # fmt: skip
"""A row of each preset by its number."""
_NAMES = {
    "pietrolesci/conj_nli": "conjnli", "tau/commonsense_qa": "commonsense_qa", "ChilleD/MultiArith": "multiarith",
    "griffin/chain_of_density": "chain_of_density", "linkanjarad/baize-chat-data": "baize_quora",
}  # fmt: skip
_SIZES = {
    ("multiarith", "train"): 420, ("multiarith", "test"): 180, ("conjnli", "dev"): 623,
    ("commonsense_qa", "validation"): 1221, ("chain_of_density", "train"): 1000,
}  # fmt: skip
"""Rows of the splits, where the recipes use all or the last of them."""


def rows_of_the_hub(name, config, revision, split):
    """Rows in place of those of the hub; those of different splits are different."""
    preset = _NAMES[name]
    start = 0 if split == "train" else 10_000
    return [ROWS[preset](i) for i in range(start, start + _SIZES.get((preset, split), 1500))]


class Teacher(small.Teacher):
    """Answers as the system message wants: JSON with a reason, a chain of density, or the bare answer."""

    def answer(self, body):
        reply = super().answer(body)
        system, prompt = body["messages"][0]["content"], body["messages"][-1]["content"]
        answer = "neutral" if "Premise" in prompt else "A" if "Choices" in prompt else "4"
        if "'reason'" in system:
            key = "answer_choice" if "answer_choice" in system else "answer"
            text = json.dumps({"reason": "Because.", key: answer})
            if set("369") & set(prompt):
                text = text[:15]  # no JSON
        elif "Denser_Summary" in system:
            steps = [{"Missing_Entities": "x", "Denser_Summary": f"Lunch, round {i}."} for i in (1, 2, 3, 4)]
            text = json.dumps(steps)
        else:
            text = f"A summary or reply to {len(prompt)}." if answer == "4" and "Question" not in prompt else answer
        reply["choices"][0]["message"]["content"] = text
        return reply
