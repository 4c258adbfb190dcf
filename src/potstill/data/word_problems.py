"""An unlimited stream of arithmetic word problems from a seed, with exact integer gold.

One third each takes one, two and three steps; about one fifth contains an irrelevant sentence. Each split has its own
stream, so that more questions of one split do not change another. ``test_unseen`` uses templates that the other splits
never use.
"""

import random
from collections.abc import Collection, Iterator

from potstill.data.word_problem_templates import TEMPLATES, Template

NAMES = [
    "Ada",
    "Amir",
    "Bela",
    "Chen",
    "Clara",
    "Dario",
    "Elif",
    "Emil",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Ivan",
    "Jonas",
    "Kofi",
    "Lena",
    "Luis",
    "Maya",
    "Mika",
    "Nadia",
    "Noor",
    "Omar",
    "Petra",
    "Quinn",
    "Rosa",
    "Samir",
    "Tara",
    "Tomas",
    "Uma",
    "Vera",
    "Wanda",
    "Yuki",
    "Zoe",
]

DISTRACTORS = (
    "{third} is {z} years old.",
    "It is {z} minutes to the station.",
    "{third} has a garden with {z} trees.",
    "The radio has been on for {z} minutes.",
    "{third} lives at number {z}.",
    "There are {z} windows in the house.",
)


def questions(
    seed: int, split: str = "train", *, unseen: bool = False, taken: Collection[str] = ()
) -> Iterator[dict[str, str]]:
    """Yield distinct ``{question, gold, group, steps}`` without end; the steps are 1, 2, 3, 1, 2, 3, ...

    ``group`` is the template's name. The same seed and split give the same stream. Questions in ``taken``, which other
    splits have, are left out.
    """
    rng = random.Random(f"word_problems:{seed}:{split}")
    by_steps = [[t for t in TEMPLATES if t.steps == steps and t.unseen == unseen] for steps in (1, 2, 3)]
    decks: list[list[Template]] = [[], [], []]
    seen = set(taken)
    while True:
        for deck, templates in zip(decks, by_steps, strict=True):
            if not deck:
                deck.extend(rng.sample(templates, len(templates)))
            template = deck.pop()
            while (problem := _problem(template, rng))["question"] in seen:
                pass
            seen.add(problem["question"])
            yield problem


def _problem(template: Template, rng: random.Random) -> dict[str, str]:
    while (numbers := template.numbers(rng.randint))["answer"] < 1:
        pass
    name, other, third = rng.sample(NAMES, 3)
    words = {slot: rng.choice(choices) for slot, choices in template.words.items()}
    before, after = rng.choice(template.wordings).split("|")
    # A distractor fits only between sentences: a wording whose `|` is inside a sentence gets none.
    if rng.random() < 1 / 4 and before.rstrip().endswith((".", "?")):
        before += rng.choice(DISTRACTORS) + " "
    text = (before + after.lstrip()).format(
        name=name, other=other, third=third, z=rng.randint(2, 60), **words, **numbers
    )
    question = text[0].upper() + text[1:]
    return {"question": question, "gold": str(numbers["answer"]), "group": template.name, "steps": str(template.steps)}
