"""Templates of word problems: the wordings of each, and the numbers that determine its answer.

In a wording, ``|`` marks where an irrelevant sentence may be inserted. ``numbers`` takes a function ``n(low, high)`` that
draws an integer between both bounds, inclusive, and returns every number of the wording together with the ``answer``.
The texts determine the questions, and so the keys of stored completions: do not change them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Draw = Callable[[int, int], int]


@dataclass(frozen=True)
class Template:
    """A problem of ``steps`` arithmetic operations; ``unseen`` templates never occur in training."""

    name: str
    steps: int
    wordings: tuple[str, ...]
    numbers: Callable[[Draw], dict[str, int]]
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unseen: bool = False


TOYS = ("marbles", "stickers", "trading cards", "toy cars", "beads")
FRUIT = ("apples", "pears", "plums", "lemons", "peaches")
GOODS = ("notebooks", "pencils", "candles", "mugs", "postcards")
BAKED = ("cookies", "muffins", "rolls", "pancakes", "scones")
PLACES = ("library", "school", "town hall", "museum", "theatre")

TEMPLATES: tuple[Template, ...] = (
    # ---- one step ----
    Template(
        "give_away",
        1,
        (
            "{name} has {a} {item}. | {name} gives {b} of them to {other}. How many {item} does {name} have left?",
            "There were {a} {item} in {name}'s drawer. | {other} was given {b} of them. How many {item} are still there?",
            "After {name} lost {b} of the {a} {item} in the bag, | how many {item} were left?",
        ),
        lambda n: dict(a=(a := n(8, 30)), b=(b := n(2, 7)), answer=a - b),
        {"item": TOYS},
    ),
    Template(
        "together",
        1,
        (
            "{name} picked {a} {item} and {other} picked {b} {item}. | How many {item} did they pick together?",
            "{a} {item} lie in {name}'s basket. | {other}'s basket holds {b} {item}. How many {item} are there in both baskets?",
        ),
        lambda n: dict(a=(a := n(3, 20)), b=(b := n(3, 15)), answer=a + b),
        {"item": FRUIT},
    ),
    Template(
        "boxes",
        1,
        (
            "A shop packs {a} {item} in each box. | How many {item} are there in {b} boxes?",
            "{name} fills {b} boxes with {a} {item} each. | How many {item} does {name} pack?",
        ),
        lambda n: dict(a=(a := n(2, 9)), b=(b := n(2, 5)), answer=a * b),
        {"item": GOODS},
    ),
    Template(
        "share",
        1,
        (
            "{name} shares {total} {item} equally among {b} friends. | How many {item} does each friend get?",
            "{b} children divide {total} {item} so that all have the same number. | How many {item} does each child get?",
        ),
        lambda n: dict(b=(b := n(2, 5)), answer=(a := n(2, 9)), total=a * b),
        {"item": BAKED},
    ),
    # ---- two steps ----
    Template(
        "change",
        2,
        (
            "{name} buys {a} {item} at {b} dollars each and pays with {paid} dollars. | How many dollars of change does {name} get?",
            "One of the {item} costs {b} dollars. | {name} has {paid} dollars and buys {a} of them. How many dollars are left?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(2, 5)), answer=(c := n(1, 10)), paid=a * b + c),
        {"item": GOODS},
    ),
    Template(
        "give_and_get",
        2,
        (
            "{name} had {a} {item}. | {name} gave {b} to {other} and then bought {c} more. How many {item} does {name} have now?",
            "A jar holds {a} {item}. {name} takes out {b} | and {other} puts in {c}. How many {item} are in the jar now?",
        ),
        lambda n: dict(a=(a := n(10, 30)), b=(b := n(2, 9)), c=(c := n(2, 9)), answer=a - b + c),
        {"item": TOYS},
    ),
    Template(
        "times_as_many",
        2,
        (
            "{name} has {a} {item}. {other} has {k} times as many. | How many {item} do they have together?",
            "On Monday {name} sold {a} {item}, and on Tuesday {k} times as many. | How many {item} did {name} sell on both days?",
        ),
        lambda n: dict(a=(a := n(2, 9)), k=(k := n(2, 4)), answer=a + k * a),
        {"item": FRUIT},
    ),
    Template(
        "eat_and_share",
        2,
        (
            "{name} had {total} {item} and ate {a} of them. | The rest were shared equally among {k} friends. How many {item} did each friend get?",
            "Of {total} {item}, {a} were bad. | {name} put the good ones equally into {k} bags. How many {item} are in each bag?",
        ),
        lambda n: dict(a=(a := n(2, 9)), k=(k := n(2, 5)), answer=(c := n(2, 6)), total=a + k * c),
        {"item": FRUIT},
    ),
    # ---- three steps ----
    Template(
        "two_kinds",
        3,
        (
            "{name} buys {a} {item} at {b} dollars each and {c} {food} at {d} dollars each. | How many dollars does {name} pay?",
            "At a stall {item} cost {b} dollars each and {food} cost {d} dollars each. | {name} takes {a} {item} and {c} {food}. "
            "What is the price in dollars?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(2, 5)), c=(c := n(2, 5)), d=(d := n(2, 5)), answer=a * b + c * d),
        {"item": GOODS, "food": BAKED},
    ),
    Template(
        "collect_and_give",
        3,
        (
            "{name} found {a} {item} and {other} found {k} times as many. | Together they gave {b} to a neighbour. How many {item} do they have left together?",
            "A small shelf holds {a} {item}, and a big shelf holds {k} times as many. | {name} takes away {b} {item}. How many {item} are left on both shelves together?",
        ),
        lambda n: dict(a=(a := n(2, 9)), k=(k := n(2, 3)), b=(b := n(2, 5)), answer=a + k * a - b),
        {"item": TOYS},
    ),
    Template(
        "earn_and_spend",
        3,
        (
            "{name} earns {a} dollars on Monday, {b} dollars on Tuesday and {c} dollars on Wednesday. | Then {name} spends {d} dollars. "
            "How many dollars are left?",
            "{name} gets {a} dollars from {other}, {b} dollars from a neighbour and {c} dollars from an aunt. | {name} buys a book for {d} dollars. "
            "How many dollars does {name} have left?",
        ),
        lambda n: dict(a=(a := n(3, 12)), b=(b := n(3, 12)), c=(c := n(2, 9)), d=(d := n(2, 7)), answer=a + b + c - d),
    ),
    Template(
        "shelves",
        3,
        (
            "The {place} has {a} shelves of {b} books each and {c} books on a table. | Readers borrow {d} books. How many books are left?",
            "{name} has {a} shelves of {b} books each and buys {c} more books. | Then {name} sells {d} books. How many books does {name} have now?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(3, 9)), c=(c := n(2, 9)), d=(d := n(2, 7)), answer=a * b + c - d),
        {"place": PLACES},
    ),
    # ---- one step, never in training ----
    Template(
        "older",
        1,
        (
            "{name} is {a} years old. | {other} is {b} years older than {name}. How old is {other}?",
            "{other} was born {b} years before {name}, | who is now {a}. How old is {other} now?",
        ),
        lambda n: dict(a=(a := n(5, 20)), b=(b := n(2, 9)), answer=a + b),
        unseen=True,
    ),
    Template(
        "dearer",
        1,
        (
            "A {thing} costs {a} dollars and a {second} costs {b} dollars. | How many dollars more does the {thing} cost?",
            "{name} pays {a} dollars for a {thing}, | and {other} pays {b} dollars for a {second}. "
            "What is the difference in price, in dollars?",
        ),
        lambda n: dict(a=(a := n(11, 30)), b=(b := n(2, 9)), answer=a - b),
        {"thing": ("coat", "lamp", "chair", "radio"), "second": ("scarf", "clock", "basket", "belt")},
        unseen=True,
    ),
    Template(
        "still_to_save",
        1,
        (
            "{name} wants a bicycle that costs {a} dollars and has saved {b} dollars. | How many more dollars does {name} need?",
            "A trip costs {a} dollars. | So far {name} has {b} dollars for it. How many dollars are missing?",
        ),
        lambda n: dict(a=(a := n(21, 50)), b=(b := n(3, 19)), answer=a - b),
        unseen=True,
    ),
    Template(
        "seats",
        1,
        (
            "The {place} has {a} rows of seats with {b} seats in each row. | How many seats does it have?",
            "Chairs stand in {a} rows of {b} in front of the {place}. | How many chairs are there?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(3, 9)), answer=a * b),
        {"place": PLACES},
        unseen=True,
    ),
    Template(
        "distance",
        1,
        (
            "{name} rides at {a} kilometres an hour for {b} hours. | How many kilometres does {name} ride?",
            "A train covers {a} kilometres every hour. | How many kilometres does it cover in {b} hours?",
        ),
        lambda n: dict(a=(a := n(3, 10)), b=(b := n(2, 5)), answer=a * b),
        unseen=True,
    ),
    # ---- two steps, never in training ----
    Template(
        "trays",
        2,
        (
            "{name} bakes {a} trays of {b} {item} and burns {c} of the {item}. | How many {item} are good?",
            "{a} plates hold {b} {item} each. | The guests eat {c} {item} in all. How many {item} remain?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(3, 6)), c=(c := n(2, 5)), answer=a * b - c),
        {"item": BAKED},
        unseen=True,
    ),
    Template(
        "saving",
        2,
        (
            "{name} has {a} dollars and saves {b} dollars every week. | How many dollars does {name} have after {c} weeks?",
            "A box holds {a} dollars. {name} puts in {b} dollars each week for {c} weeks. | How many dollars are in the box now?",
        ),
        lambda n: dict(a=(a := n(2, 20)), b=(b := n(2, 5)), c=(c := n(2, 5)), answer=a + b * c),
        unseen=True,
    ),
    Template(
        "pages_left",
        2,
        (
            "A book has {total} pages. | {name} reads {a} pages a day for {b} days. How many pages are still to be read?",
            "{name} must paint {total} fence posts and paints {a} each day. | How many posts are left after {b} days?",
        ),
        lambda n: dict(a=(a := n(3, 9)), b=(b := n(2, 5)), answer=(c := n(3, 20)), total=a * b + c),
        unseen=True,
    ),
    Template(
        "teams",
        2,
        (
            "{a} girls and {b} boys make teams of {k}. | How many teams are there?",
            "{name} has {a} red tulips and {b} white ones and ties them in bunches of {k}. | How many bunches does {name} get?",
        ),
        lambda n: dict(k=(k := n(2, 5)), answer=(c := n(3, 6)), a=(a := n(2, k * c - 2)), b=k * c - a),
        unseen=True,
    ),
    Template(
        "fence",
        2,
        (
            "A garden is a rectangle {a} metres long and {b} metres wide. | How many metres of fence go all the way around it?",
            "{name} walks once around a rectangular field of {a} metres by {b} metres. | How many metres does {name} walk?",
        ),
        lambda n: dict(a=(a := n(5, 15)), b=(b := n(2, 5)), answer=2 * (a + b)),
        unseen=True,
    ),
    # ---- three steps, never in training ----
    Template(
        "bake_and_bag",
        3,
        (
            "{name} bakes {a} trays of {b} {item} and eats {c} of the {item}. | The rest go equally into {k} bags. How many {item} are in each bag?",
            "{a} boxes hold {b} {item} each. First {c} {item} are given away, then {k} people share the others equally. | How many {item} does each person get?",
        ),
        lambda n: dict(
            a=(a := n(3, 5)), b=(b := n(4, 6)), k=(k := n(2, 4)), c=(c := a * b % k + k), answer=(a * b - c) // k
        ),
        {"item": BAKED},
        unseen=True,
    ),
    Template(
        "stops",
        3,
        (
            "A bus carries {a} people. At the first stop {b} people get off and {c} get on. | At the second stop {d} more get on. "
            "How many people are on the bus now?",
            "{name} has {a} points in a game, loses {b} points and then wins {c} points. | In the last round {name} wins {d} more points. "
            "How many points does {name} have in the end?",
        ),
        lambda n: dict(a=(a := n(12, 30)), b=(b := n(2, 9)), c=(c := n(2, 9)), d=(d := n(2, 9)), answer=a - b + c + d),
        unseen=True,
    ),
    Template(
        "cheaper_shop",
        3,
        (
            "{name} sells {a} cakes at {b} dollars each. | The flour for each cake costs {c} dollars, and the stall costs {d} dollars. "
            "How many dollars does {name} earn?",
            "A guide takes {a} visitors, who pay {b} dollars each. | Lunch for each visitor costs {c} dollars, and the bus costs {d} dollars. "
            "How many dollars are left?",
        ),
        lambda n: dict(
            a=(a := n(2, 6)), c=(c := n(2, 4)), b=(b := c + n(2, 5)), d=(d := n(2, 3)), answer=(b - c) * a - d
        ),
        unseen=True,
    ),
    Template(
        "tickets",
        3,
        (
            "{a} adults and {b} children visit the {place}. An adult pays {c} dollars and a child {d} dollars. | How many dollars do they pay in all?",
            "In a car park stand {a} vans with {c} parcels each and {b} cars with {d} parcels each. | How many parcels are there in all?",
        ),
        lambda n: dict(a=(a := n(2, 5)), b=(b := n(2, 5)), c=(c := n(4, 9)), d=(d := n(2, 4)), answer=a * c + b * d),
        {"place": PLACES},
        unseen=True,
    ),
    Template(
        "water",
        3,
        (
            "A tank holds {a} litres. {name} pours in {k} buckets of {b} litres | and then uses {c} litres on each of 2 days. "
            "How many litres are in the tank?",
            "{name} starts with {a} points, wins {k} rounds worth {b} points each | and loses {c} points twice. How many points does {name} have?",
        ),
        lambda n: dict(
            a=(a := n(10, 30)), k=(k := n(2, 5)), b=(b := n(2, 6)), c=(c := n(2, 6)), answer=a + k * b - 2 * c
        ),
        unseen=True,
    ),
)
