"""A run of questions in the form of MT-Bench's file, carried out by the command: two turns, and reference answers to some of them."""

import json
import re

from faulty_server import said
from small import potstill, save_tiny_llama

HOSTILE = "<script>alert(1)</script><b>&amp;"
QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write a poem about rain.", f"Shorten it {HOSTILE}."]},
    {"question_id": 82, "category": "writing", "turns": ["Write a letter to the sea.", "Now without the letter e."]},
    {"question_id": 103, "category": "reasoning", "turns": ["Where is Tom?", "And why?"], "reference": [f"In {HOSTILE} Rome", ""]},
    {"question_id": 111, "category": "math", "turns": ["What is the area?", "And the circle?"], "reference": ["Area is 3", "5pi"]},
    {"question_id": 112, "category": "math", "turns": ["How many came?", "And left?"], "reference": ["12000", "2000"]},
    {"question_id": 133, "category": "extraction", "turns": ["Name the books.", "Which is oldest?"], "reference": [None, "Harry"]},
]  # fmt: skip
REFERENCES = {("103", 1), ("111", 1), ("111", 2), ("112", 1), ("112", 2), ("133", 2)}
"""Question and turn that have a reference answer."""
RECIPE = """\
name: bench
task: conversation
condition: vanilla
data: {{source: files, train: train.jsonl, test: test.jsonl, validation: 2, columns: {{id: question_id}}}}
teacher: {{model: {{url: "{url}", model: t}}}}
generate: {{max_tokens: 40}}
student: {{model: "{folder}/llama", max_tokens: 8}}
train: {{epochs: 1}}
evaluate:
  systems:
    - student
    - {{name: good, model: {{url: "{url}", model: good}}, prompting: plain}}
    - {{name: poor, model: {{url: "{url}", model: poor}}, prompting: plain}}
  judge: {{models: {{url: "{url}", model: judge}}, form: pairwise, systems: [good, poor], repeats: 0}}
report: {{examples: 6}}
"""


def reply(body):
    """Systems say who they are and which turn it is. The judge scores good 5 and poor 2, but at turn 2 good 1; it calls only good right."""
    name, texts = body["model"], [message["content"] for message in body["messages"]]
    if name != "judge":
        return said(f"I am {name}, at turn {len(texts) // 2 + 1} {HOSTILE}.")
    (prompt,) = texts
    second = "-turn-2" in prompt
    wanted = body["response_format"]["json_schema"]["schema"]["required"]
    if "better" in wanted:
        letter = re.search(r"<answer-([AB])(?:-turn-2)?-\w{10}>\nI am good, at turn", prompt)[1]
        other = {"A": "B", "B": "A"}[letter]
        return said(json.dumps({"reason": "Because.", "better": other if second else letter}))
    good = "I am good" in prompt
    score = 2 if not good else 1 if second else 5
    return said(json.dumps({key: good if key == "right" else score for key in wanted} | {"reason": "Because."}))


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def carry_out(folder, url):
    """The run, carried out by the command; what it printed."""
    save_tiny_llama(folder / "llama")
    write(folder / "test.jsonl", QUESTIONS)
    chats = [
        {"question_id": i, "messages": [{"role": "user", "content": f"Hi {i}"}, {"role": "assistant", "content": "Ho"}]}
        for i in range(9)
    ]
    write(folder / "train.jsonl", chats)
    (folder / "bench.yaml").write_text(RECIPE.format(url=url, folder=folder))
    return potstill("run", "bench.yaml", cwd=folder)
