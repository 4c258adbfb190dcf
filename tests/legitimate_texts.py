"""Answers that repeat themselves for a good reason: lists, tables, code, verse. None of them may be taken for a loop."""

import json
from itertools import product


def rows(row, n):
    return "\n".join([row] * n)


def table(header, body):
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def times_table(n):
    return "\n".join(f"{a} x {b} = {a * b}" for a, b in product(range(1, n + 1), repeat=2))


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gwen", "Hugo", "Iris", "Jon", "Kim", "Leo", "Mia", "Nils", "Olga")

LISTS = {
    "numbered": "\n".join(f"{i}. apple" for i in range(1, 61)),
    "bullets": "Buy:\n" + "\n".join(f"- {fruit}" for fruit in ("milk", "eggs", "bread", "tea") * 3),
    "equal items": "The marks of the class are:\n" + rows("- 5", 24),
    "equal answers": "Answers to the 30 questions:\n" + rows("Yes.", 30),
    "equal words in a line": "The switches are " + ", ".join(["on"] * 40) + ".",
    "not known": "Missing values, by row:\n" + rows("N/A", 40),
    "counting": ", ".join(map(str, range(1, 201))),
    "counting down": " ".join(map(str, range(100, 0, -1))),
    "even numbers": "\n".join(f"{n} is even." for n in range(2, 90, 2)),
    "leap years": "\n".join(f"The year {year} is a leap year." for year in range(1904, 2104, 4)),
    "shifts": "\n".join(f"{day}: 9:00 to 17:00, lunch 12:00 to 12:30" for day in DAYS * 2),
    "training plan": "\n".join(f"Week {week}: run 3 km, rest, run 3 km, rest" for week in range(1, 17)),
    "intervals": "Warm up for 5 minutes.\n" + rows("Run 1 minute, walk 2 minutes.", 4) + "\nCool down for 5 minutes.",
    "binary": "Twenty in binary is 10100. 255 is 11111111, and 65535 is 1111111111111111.",
    "decimals": "1/3 = 0." + "3" * 60 + "..., and 2/11 = 0." + "18" * 30 + "...",
    "a large number": "A googol is 1" + ",000" * 33 + ".",
    "a googol": "10^100 = 1" + "0" * 100,
    "zeros": "0 " * 48 + "\nSo the vector has 48 zeros.",
    "squares": "\n".join(f"{n}^2 = {n} * {n} = {n * n}" for n in range(1, 41)),
}

TABLES = {
    "equal cells": table(["name", "paid", "came"], [[name, "yes", "yes"] for name in NAMES]),
    "separator of many columns": "|" + " c |" * 24 + "\n|" + "---|" * 24 + "\n|" + " 1 |" * 24,
    "empty planner": table(["", *DAYS], [[f"{hour}:00", *[" "] * 7] for hour in range(8, 20)]),
    "blank form": rows("| | | | |", 12),
    "aligned": rows("+------+------+------+\n|      |      |      |", 8),
    "comma-separated": "id,a,b,c,d\n" + "\n".join(f"{i},0,0,0,0" for i in range(50)),
    "comma-separated, all equal": "a,b,c,d\n" + rows("0,0,0,0", 20),
    "tabs": "\n".join(f"{name}\t1\t1\t1\t1" for name in NAMES),
    "times": times_table(12),
    "times, as a grid": "\n".join(" ".join(f"{a * b:3d}" for b in range(1, 13)) for a in range(1, 13)),
    "bingo": " B   I   N   G   O\n" + "\n".join(" ".join(f"{i + 15 * k:3d}" for k in range(5)) for i in range(3, 8)),
    "truth table": "\n".join(" ".join("TF"[bit] for bit in bits) for bits in product((0, 1), repeat=5)),
    "sudoku": rows(". . . | . . . | . . .", 3) + "\n------+-------+------\n" + rows(". . . | . . . | . . .", 3),
    "scores": "\n".join(f"{name}: 1 0 1 0 1 0 1 0 1 0" for name in NAMES),
    "identity": "\n".join(" ".join(str(int(i == j)) for j in range(12)) for i in range(12)),
    "empty board": rows(". . . . . . . .", 8),
    "checkers": rows("X O X O X O X O\nO X O X O X O X", 4),
}

CODE = {
    "zeros in Python": "grid = [\n" + rows("    [0, 0, 0, 0, 0, 0, 0, 0],", 8) + "\n]",
    "ones in JSON": json.dumps({"weights": [1.0] * 40, "mask": [[1] * 8] * 4}),
    "booleans": json.dumps([True, False] * 20),
    "nulls": json.dumps([None] * 50),
    "records": json.dumps([{"id": i, "name": "", "tags": [], "active": True} for i in range(20)], indent=1),
    "empty cells in HTML": "<table>\n" + rows("  <tr><td></td><td></td></tr>", 6) + "\n</table>",
    "if chain": "\n".join(f"    elif n == {n}:\n        return {n * n}" for n in range(40)),
    "prints": rows("print()", 6) + "\n" + "\n".join(f"print('line {i}')" for i in range(20)),
    "tests": "\n".join(f"test_{i} ... ok" for i in range(40)),
    "closing brackets": "f(" * 30 + "x" + ")" * 30,
    "nested divs": "\n".join("  " * i + "<div>" for i in range(20)) + "\n" + "\n".join("</div>" for _ in range(20)),
    "bytes": bytes(64).hex(" "),
    "comment rule": "# " + "-" * 100 + "\n# part one\n# " + "-" * 100,
    "brainfuck": "+" * 72 + ".>" + "+" * 101 + ".",
    "assembly": rows("nop", 30) + "\nret",
}

VERSE = {
    "row your boat": (
        "Row, row, row your boat,\nGently down the stream.\nMerrily, merrily, merrily, merrily,\nLife is but a dream.\n\n"
    )
    * 3,
    "london bridge": (
        "London Bridge is falling down,\nFalling down, falling down.\nLondon Bridge is falling down,\nMy fair lady.\n\n"
        "Build it up with wood and clay,\nWood and clay, wood and clay,\nBuild it up with wood and clay,\nMy fair lady."
    ),
    "old macdonald": "\n\n".join(
        f"Old MacDonald had a farm, E-I-E-I-O.\nAnd on that farm he had a {animal}, E-I-E-I-O.\n"
        f"With a {sound}, {sound} here, and a {sound}, {sound} there."
        for animal, sound in (("cow", "moo"), ("pig", "oink"), ("duck", "quack"), ("sheep", "baa"))
    ),
    "bottles": "\n".join(f"{n} green bottles hanging on the wall," * 2 for n in range(10, 0, -1)),
    "wheels": "\n\n".join(
        f"The {part} on the bus go {sound},\n{sound}, {sound}.\nThe {part} on the bus go {sound},\nAll through the town."
        for part, sound in (
            ("wheels", "round and round"),
            ("wipers", "swish, swish, swish"),
            ("doors", "open and shut"),
        )
    ),
    "refrain": "Snow on the hill, snow on the lane,\n"
    + rows("Let it snow, let it snow again.", 3)
    + "\nThe wind is cold.",
    "chant": "The crowd sang: " + "na, " * 16 + "hey, hey, goodbye!",
    "laughter": "He laughed: " + "ha" * 40 + "!",
    "litany": "\n".join(f"For {name}: have mercy on us." for name in NAMES),
    "echo": rows("Hello?", 6) + "\nNobody answered.",
    "chords": "Play this, eight times the same bars:\n" + rows("C G Am F", 8) + "\nEnd on C.",
}

OTHERS = {
    "chess": "1. Nf3 Nf6 2. Ng1 Ng8 3. Nf3 Nf6 4. Ng1 Ng8 5. Nf3 Nf6 6. Ng1 Ng8, a draw by repetition.",
    "moves without numbers": "Nf3 Nf6 Ng1 Ng8 " * 3 + "and the game is drawn.",
    "dialogue": "\n".join(f"A: Is {name} here?\nB: Yes." for name in NAMES),
    "interrogation": rows("Q: Where were you?\nA: At home.", 3) + "\nQ: Who saw you?\nA: Nobody.",
    "long division": "       1428571\n     ________\n7 | 10000000\n"
    + "\n".join(f"{' ' * i}30\n{' ' * i}28" for i in range(12)),
    "addition": "\n".join(f"{7 * i} + 7 = {7 * (i + 1)}" for i in range(40)),
    "powers": "\n".join(f"2 * {2**i} = {2 ** (i + 1)}" for i in range(40)),
    "poly-A": "ATGGCC" + "A" * 60,
    "microsatellite": "The repeat is " + "CA" * 30 + ".",
    "huntington": "The gene holds " + "CAG" * 36 + ", the shortest pathological repeat.",
    "rule": "Summary\n" + "=" * 120 + "\nAll is well.\n" + "=" * 120,
    "stars": "* * * * * * * * * * * *\n\nChapter two begins.",
    "drums": "hi-hat " + "x-x-x-x-|" * 8 + "\nsnare  " + "----x---|" * 8,
    "house": rows("##########", 8) + "\n#        #\n##########",
    "knitting": "Row 1: " + "k2, p2, " * 14 + "k2. Row 2: " + "p2, k2, " * 14 + "p2.",
    "collatz": "27, 82, 41, 124, 62, 31, 94, 47, 142, 71, 214, 107, 322, 161, 484, 242, 121, 364, 182, 91, ... , 4, 2, 1, 4, 2, 1, 4, 2, 1",
    "oscillation": "x goes " + "1, -1, " * 20 + "and never settles.",
    "signal": "On for a second, " + "off, on, " * 20 + "then off.",
    "steps": "\n".join(f"Step {i}: add 1, so the sum is {i}." for i in range(1, 41)),
    "days": "\n".join(f"Day {i}: read 12 pages, write 1 page." for i in range(1, 31)),
    "dotted": "Chapter 1 " + ". " * 40 + "12\nChapter 2 " + ". " * 40 + "34",
    "money": "\n".join(f"{name} pays 12 dollars and gets 3 dollars back." for name in NAMES),
}

TEXTS = {**LISTS, **TABLES, **CODE, **VERSE, **OTHERS}
