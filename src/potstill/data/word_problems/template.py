"""Templates of word problems: a situation, and a chain of lines out of it that ends in a question.

A line is one or two sentences together with what they do to the numbers, as an expression in postfix notation: letters
draw from `NUMBERS`, digits are numbers that the text says in words (half, twice), ``+ - * /`` are the steps of
the problem, ``dup`` and ``swap`` act on the stack, which the lines of a chain share. The answer is the top of the stack.

A template is unseen, never used in training, if its whole situation is, or if no training question of its situation has the
same operations in the same order. Within a situation each sequence of operations is one template only: other words for the
same operations are wordings of a line.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

NUMBERS = {
    "a": range(8, 31),  # an amount to start with
    "b": range(2, 10),  # a small change
    "c": range(2, 10),
    "d": range(2, 5),  # a small price or amount for each
    "e": range(2, 4),
    "f": range(6, 21),  # a floor, an age, the sales of a day
    "h": range(20, 101, 10),  # banknotes
    "k": range(2, 6),  # groups
    "l": range(6, 16),  # a length, a speed
    "m": range(3, 5),  # times as many
    "n": range(3, 10),  # members of a group
    "p": range(2, 10),  # a price
    "s": range(40, 61),  # seats
    "t": range(30, 81),  # a total
    "u": range(5, 16),  # pages, minutes
}
"""What each letter draws from."""

LIMIT = 100
"""Every result of a step is an integer from 2 to this."""

Operation = tuple[str, int, int, int]
"""Operator, operands and result of a step."""


@dataclass(frozen=True)
class Line:
    """Sentences with one meaning, in several wordings."""

    expression: str
    wordings: tuple[str, ...]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        return tuple(self.expression.split())


def line(expression: str, *wordings: str) -> Line:
    return Line(expression, wordings)


@dataclass(frozen=True)
class Situation:
    """A small world: nouns to choose from, lines, and the chains of lines that are problems.

    A noun chosen for ``item`` fills ``{item}``, its plural ``{items}``.
    """

    name: str
    nouns: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, Line]
    trained: tuple[str, ...] = ()
    """Chains for training: names of lines, separated by spaces."""
    unseen: tuple[str, ...] = ()
    """Chains that occur in no training question."""


@dataclass(frozen=True)
class Template:
    """One chain of a situation, the unit that evaluation clusters by."""

    situation: Situation
    chain: str
    unseen: bool

    @property
    def name(self) -> str:
        return "-".join([self.situation.name, *self.chain.split()])

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self.situation.lines[name] for name in self.chain.split())

    @cached_property
    def signature(self) -> str:
        """The whole expression with its letters masked: templates with the same one differ in words only."""
        tokens = [token for line in self.lines for token in line.tokens]
        return " ".join("n" if token in NUMBERS else token for token in tokens)

    @cached_property
    def steps(self) -> int:
        return sum(token in "+-*/" for token in self.signature.split())


@dataclass(frozen=True)
class Draw:
    """The numbers of a problem."""

    numbers: Sequence[Mapping[str, int]]
    """For each line, its letters' numbers."""
    operations: Sequence[Operation]
    answer: int


def draw(template: Template, rng: random.Random) -> Draw:
    """Numbers with which every step has an integer result from 2 to `LIMIT`."""
    while (found := _try(template, rng)) is None:
        pass
    return found


def _try(template: Template, rng: random.Random) -> Draw | None:
    stack: list[int] = []
    numbers: list[dict[str, int]] = []
    operations: list[Operation] = []
    for line in template.lines:
        own: dict[str, int] = {}
        numbers.append(own)
        for token in line.tokens:
            if token in NUMBERS:
                choices = NUMBERS[token]
                own[token] = choices[int(rng.random() * len(choices))]
                stack.append(own[token])
            elif token.isdigit():
                stack.append(int(token))
            elif token == "dup":
                stack.append(stack[-1])
            elif token == "swap":
                stack[-2:] = reversed(stack[-2:])
            else:
                right, left = stack.pop(), stack.pop()
                result = _apply(token, left, right)
                if result is None or not 2 <= result <= LIMIT:
                    return None
                stack.append(result)
                operations.append((token, left, right, result))
    return Draw(numbers, operations, stack[-1])


def _apply(operator: str, left: int, right: int) -> int | None:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return None if left % right else left // right
    raise ValueError(f"unknown operator {operator!r}")


def plural(noun: str) -> str:
    return noun + ("es" if re.search(r"(s|x|ch|sh)$", noun) else "s")


def templates(situations: Sequence[Situation]) -> tuple[Template, ...]:
    return tuple(
        Template(situation, chain, unseen)
        for situation in situations
        for unseen, chains in ((False, situation.trained), (True, situation.unseen))
        for chain in chains
    )
