"""Situations about things that are collected, compared, baked, carried, sold and made."""

from potstill.data.word_problems.template import Situation, line

TOWNS = ("Aston", "Brook", "Corby", "Dalton", "Exford", "Linton", "Marlow", "Norwood", "Oakham", "Redhill", "Welby")

THINGS = (
    Situation(
        "toys",
        {"item": ("marble", "sticker", "bead", "toy car", "trading card")},
        {
            "has": line("a", "{name} has {a} {items}.", "{name} owns {a} {items}."),
            "find": line(
                "b +",
                "{who} finds {b} more {items}.",
                "{other} gives {him} {b} more.",
                "At a market {he} buys {b} more.",
            ),
            "give": line(
                "b -", "{who} gives {b} of {his} {items} to {other}.", "On a trip {he} loses {b} of {his} {items}."
            ),
            "half": line(
                "2 /", "{who} gives half of {his} {items} to {other}.", "At a fair {he} sells half of {his} {items}."
            ),
            "double": line(
                "2 *", "Over the summer {he} doubles {his} collection.", "Within a month {he} doubles {his} collection."
            ),
            "bags": line(
                "k n * +",
                "{who} buys {k} bags of {n} {items}.",
                "{other} brings {him} {k} bags with {n} {items} in each.",
            ),
            "now": line("", "How many {items} does {name} have now?", "How many {items} does {name} have in the end?"),
            "friends": line(
                "k /",
                "{who} divides all {his} {items} equally among {k} friends. How many {items} does each friend get?",
                "How many {items} does each friend get if {name} shares all {his} {items} equally among {k} friends?",
            ),
        },
        trained=(
            "has find now",
            "has give now",
            "has friends",
            "has find give now",
            "has give friends",
            "has half find now",
            "has find give friends",
            "has bags give now",
            "has bags friends",
            "has bags give friends",
        ),
        unseen=(
            "has find friends",
            "has double give now",
            "has find half give now",
            "has double find friends",
            "has bags half give now",
        ),
    ),
    Situation(
        "compare",
        {"item": ("stamp", "shell", "postcard", "coin", "badge")},
        {
            "has": line("a", "{name} has {a} {items}.", "{name} has collected {a} {items}."),
            "more": line("dup b +", "{other} has {b} more {items} than {name}.", "{other} has {b} more than {name}."),
            "fewer": line("dup b -", "{other} has {b} fewer {items} than {name}."),
            "times": line("dup m *", "{other} has {m} times as many {items} as {name}."),
            "half": line("dup 2 /", "{other} has half as many {items} as {name}."),
            "third": line("dup c +", "{third} has {c} more {items} than {other}."),
            "thirdtwice": line("dup 2 *", "{third} has twice as many {items} as {other}."),
            "school": line("+ b -", "Together they give {b} of their {items} to the school."),
            "other": line("", "How many {items} does {other} have?", "What is the number of {items} that {other} has?"),
            "together": line(
                "+",
                "How many {items} do {name} and {other} have together?",
                "How many {items} do {name} and {other} have in all?",
            ),
            "ahead": line("swap -", "How many more {items} does {other} have than {name}?"),
            "equal": line(
                "+ 2 /",
                "{name} and {other} put all their {items} together and divide them equally between the two of them. "
                "How many {items} does each of them get?",
            ),
            "left": line("", "How many {items} do {name} and {other} have left in all?"),
            "all": line("+ +", "How many {items} do the three of them have in all?"),
        },
        trained=(
            "has more other",
            "has fewer other",
            "has times other",
            "has more together",
            "has times together",
            "has times ahead",
            "has times school left",
            "has more third all",
            "has fewer thirdtwice all",
        ),
        unseen=(
            "has half other",
            "has fewer together",
            "has half together",
            "has more equal",
            "has more school left",
            "has times third all",
        ),
    ),
    Situation(
        "baking",
        {"item": ("cookie", "muffin", "scone", "bun")},
        {
            "trays": line(
                "k n *", "{name} bakes {k} trays of {n} {items}.", "{name} bakes {k} trays with {n} {items} on each."
            ),
            "more": line("k n * +", "Then {he} bakes {k} more trays, this time with {n} {items} on each."),
            "eat": line("b -", "{his} family eats {b} of the {items}.", "{who} gives {b} of the {items} to {other}."),
            "neighbour": line("c -", "{who} gives {c} {items} to a neighbour."),
            "all": line("", "How many {items} does {name} bake in all?"),
            "left": line("", "How many {items} are left?", "How many {items} does {name} have left?"),
            "packall": line(
                "k /",
                "{who} puts all the {items} into bags, {k} in each bag. How many bags does {he} fill?",
                "How many bags does {name} fill if {he} puts all the {items} into bags of {k}?",
            ),
            "pack": line(
                "k /",
                "{who} puts the remaining {items} into bags, {k} in each bag. How many bags does {he} fill?",
                "The remaining {items} go into bags, {k} in each bag. How many bags are there?",
            ),
            "sellall": line(
                "d *",
                "{who} sells all the {items} for {d} dollars each. How many dollars does {he} take in?",
                "How many dollars does {name} take in if {he} sells all the {items} for {d} dollars each?",
            ),
            "sell": line(
                "d *",
                "{who} sells the remaining {items} for {d} dollars each. How many dollars does {he} take in?",
                "How many dollars does {name} take in if {he} sells the rest of the {items} for {d} dollars each?",
            ),
        },
        trained=(
            "trays all",
            "trays eat left",
            "trays packall",
            "trays eat pack",
            "trays eat sell",
            "trays more all",
            "trays more eat left",
            "trays more packall",
        ),
        unseen=("trays sellall", "trays eat neighbour left", "trays eat neighbour pack"),
    ),
    Situation(
        "bus",
        {"town": TOWNS},
        {
            "on": line(
                "a",
                "{name}'s bus to {town} sets off with {a} passengers.",
                "{name} drives a bus to {town}. It sets off with {a} passengers.",
            ),
            "off": line("b -", "At the bridge {b} passengers get off."),
            "board": line("b +", "At the market {b} more people get on.", "{b} more people get on at the school."),
            "both": line("b - c +", "At the next stop {b} passengers get off and {c} get on."),
            "bothagain": line("b - c +", "At the stop after that, {b} passengers get off and {c} get on."),
            "half": line("2 /", "At the station half of the passengers get off."),
            "groups": line("k n * +", "At the museum {k} groups of {n} people get on."),
            "now": line("", "How many passengers are on the bus now?", "How many passengers does the bus carry now?"),
            "seats": line(
                "s swap -",
                "The bus has {s} seats, and every passenger has one. How many seats are free?",
                "The bus has {s} seats and nobody is standing. How many seats are empty?",
            ),
        },
        trained=(
            "on board now",
            "on seats",
            "on both now",
            "on off seats",
            "on half board now",
            "on both board now",
            "on groups off now",
            "on both bothagain now",
            "on groups both now",
        ),
        unseen=("on off now", "on board seats", "on both seats", "on half both now", "on half both seats"),
    ),
    Situation(
        "books",
        {},
        {
            "shelves": line(
                "k n *",
                "{name}'s second-hand shop has {k} shelves with {n} books on each.",
                "In {name}'s second-hand shop there are {k} shelves of {n} books.",
            ),
            "table": line("b +", "{b} more books lie on a table.", "Another {b} books stand by the door."),
            "sell": line("b -", "Customers buy {b} of the books.", "Today {who} sells {b} of the books."),
            "order": line("k n * +", "A van brings {k} boxes of {n} books.", "{who} buys {k} boxes of {n} books."),
            "half": line("2 /", "In a sale {who} sells half of all the books."),
            "all": line("", "How many books are there in all?", "How many books does the shop have in all?"),
            "now": line("", "How many books are in the shop now?", "How many books does the shop have now?"),
        },
        trained=(
            "shelves all",
            "shelves table all",
            "shelves sell now",
            "shelves half now",
            "shelves table sell now",
            "shelves order now",
            "shelves order sell now",
            "shelves table half sell now",
        ),
        unseen=("shelves table half now", "shelves sell order now", "shelves half order now"),
    ),
    Situation(
        "workshop",
        {"item": ("toy", "chair", "lamp", "clock", "kite")},
        {
            "machine": line("n", "The machine in {name}'s workshop makes {n} {items} an hour."),
            "machines": line("k n *", "{name}'s workshop has {k} machines, and each makes {n} {items} an hour."),
            "hours": line("d *", "The machines run for {d} hours."),
            "faulty": line("b -", "{b} of the {items} are faulty and are thrown away."),
            "hourly": line("", "How many {items} do all the machines together make in one hour?"),
            "made": line("", "How many {items} do the machines make?"),
            "good": line("", "How many good {items} are there?"),
            "boxes": line(
                "k /",
                "The good {items} are packed in boxes of {k}. How many boxes are filled?",
                "How many boxes are needed if the good {items} are packed in boxes of {k}?",
            ),
            "boxesall": line(
                "k /",
                "All the {items} are packed in boxes of {k}. How many boxes are filled?",
                "How many boxes are needed if all the {items} are packed in boxes of {k}?",
            ),
            "order": line(
                "t swap /",
                "A customer orders {t} {items}. How many hours does the workshop need to make them?",
                "How many hours does the workshop need for an order of {t} {items}?",
            ),
        },
        trained=(
            "machines hourly",
            "machine order",
            "machines hours made",
            "machines hours faulty good",
            "machines hours boxesall",
            "machines hours faulty boxes",
        ),
        unseen=("machines order",),
    ),
)
