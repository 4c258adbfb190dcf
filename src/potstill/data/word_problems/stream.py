"""The stream of word problems: which template comes next, names, and sentences that do not matter.

Of ten questions four take one step, three take two, two take three and one takes four: a small teacher solves most of
those with one step, and few of the longer ones. About one fifth contains an irrelevant sentence. Each split has
its own stream, so that more questions of one split do not change another.
"""

import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from potstill.data.word_problems.held_out import HELD_OUT
from potstill.data.word_problems.measures import MEASURES
from potstill.data.word_problems.money import MONEY
from potstill.data.word_problems.template import Operation, Template, draw, plural, templates
from potstill.data.word_problems.things import THINGS

TEMPLATES = templates((*THINGS, *MONEY, *MEASURES, *HELD_OUT))
STEPS = (1, 2, 1, 3, 1, 2, 4, 1, 2, 3)

WOMEN = [
    "Ada",
    "Clara",
    "Elif",
    "Farah",
    "Hana",
    "Ines",
    "Lena",
    "Maya",
    "Nadia",
    "Petra",
    "Rosa",
    "Tara",
    "Uma",
    "Vera",
    "Wanda",
    "Yuki",
    "Zoe",
]
MEN = [
    "Amir",
    "Ben",
    "Chen",
    "Dario",
    "Emil",
    "Goran",
    "Ivan",
    "Jonas",
    "Kofi",
    "Luis",
    "Marek",
    "Omar",
    "Pavel",
    "Samir",
    "Tomas",
    "Victor",
    "Yusuf",
]
PRONOUNS = (
    (WOMEN, MEN, dict(he="she", him="her", his="her")),
    (MEN, WOMEN, dict(he="he", him="him", his="his")),
)

ABOUT_NOBODY = (
    "It is {z} degrees outside.",
    "The building next door has {z} windows.",
    "A picture on the wall shows {z} birds.",
    "The radio plays {z} songs in a row.",
)
DISTRACTORS = (*ABOUT_NOBODY, "{name} lives at number {z}.", "{name} has {z} cousins.")
"""Sentences that no question depends on; the nouns counted in them occur in no situation."""


@dataclass(frozen=True)
class Problem:
    """A word problem and how it is solved."""

    question: str
    template: Template
    operations: tuple[Operation, ...]
    answer: int
    distractor: str
    """The irrelevant sentence in the question; empty if there is none."""


def questions(
    seed: int, split: str = "train", *, unseen: bool = False, taken: Collection[str] = ()
) -> Iterator[dict[str, str]]:
    """Yield distinct ``{question, gold, group, steps}`` without end.

    ``group`` is the template's name. ``unseen`` questions are of templates that the others never have. Templates of the
    same number of steps occur equally often. The same seed and split give the same stream. Questions in ``taken``, which
    other splits have, are left out.
    """
    rng = random.Random(f"word_problems:{seed}:{split}")
    seen = set(taken)
    for template in _evenly([t for t in TEMPLATES if t.unseen == unseen], rng):
        while (problem := compose(template, rng)).question in seen:
            pass
        seen.add(problem.question)
        yield {
            "question": problem.question,
            "gold": str(problem.answer),
            "group": template.name,
            "steps": str(template.steps),
        }


def _evenly(choices: list[Template], rng: random.Random) -> Iterator[Template]:
    """Templates by the steps of `STEPS`; of each number of steps all occur before one occurs again."""
    decks: dict[int, list[Template]] = {steps: [] for steps in STEPS}
    while True:
        for steps in STEPS:
            if not (deck := decks[steps]):
                deck += [template for template in choices if template.steps == steps]
                rng.shuffle(deck)
            yield deck.pop()


def compose(template: Template, rng: random.Random) -> Problem:
    """A problem of this template with drawn numbers, names, nouns and wordings."""
    numbers = draw(template, rng)
    own, others, pronouns = rng.choice(PRONOUNS)
    name, third = rng.sample(own, 2)
    words = pronouns | {"name": name, "other": rng.choice(others), "third": third}
    for slot, nouns in template.situation.nouns.items():
        words[slot] = rng.choice(nouns)
        words[slot + "s"] = plural(words[slot])
    wordings = [rng.choice(line.wordings) for line in template.lines]
    # A distractor between two sentences of a story would cut off "them" and "more" from what they refer to.
    before = rng.choice((0, len(wordings) - 1)) if rng.random() < 1 / 5 else None
    sentences: list[str] = []
    distractor = ""
    named = False
    for i, wording in enumerate(wordings):
        if i == before:
            distractor = rng.choice(DISTRACTORS if named else ABOUT_NOBODY).format(name=name, z=rng.randint(5, 25))
            sentences.append(distractor)
        clear = named and (i != before or name in distractor)
        sentences.append(wording.format(who=words["he"] if clear else name, **words, **numbers.numbers[i]))
        named = named or "{name}" in wording
    return Problem(
        re.sub(r"(^|[.?] )([a-z])", lambda match: match[0].upper(), " ".join(sentences)),
        template,
        tuple(numbers.operations),
        numbers.answer,
        distractor,
    )
