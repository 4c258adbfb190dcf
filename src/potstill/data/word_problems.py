"""Arithmetic word problems without limit from a seed, with exact whole-number gold.

A third each take one, two and three steps; about a fifth carry a sentence that does not matter. Each split has a
stream of its own, so that more questions of one change no other; a question that another split has is left out.
``test_unseen`` uses templates that the other splits never use.
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
    """Yield distinct ``{question, gold, group, steps}`` without end; steps go 1, 2, 3, 1, 2, 3, ...

    ``group`` is the template's name. Equal seeds and splits give equal streams, which leave out questions in ``taken``.
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
    # A sentence can only stand between sentences; a wording whose mark is inside one goes without.
    if rng.random() < 1 / 4 and before.rstrip().endswith((".", "?")):
        before += rng.choice(DISTRACTORS) + " "
    text = (before + after.lstrip()).format(
        name=name, other=other, third=third, z=rng.randint(2, 60), **words, **numbers
    )
    question = text[0].upper() + text[1:]
    return {"question": question, "gold": str(numbers["answer"]), "group": template.name, "steps": str(template.steps)}
