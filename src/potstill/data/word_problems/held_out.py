"""Situations that no training question has."""

from potstill.data.word_problems.template import Situation, line

HELD_OUT = (
    Situation(
        "ages",
        {},
        {
            "is": line("f", "{name} is {f} years old."),
            "older": line("b +", "{other} is {b} years older than {name}."),
            "beside": line("dup b +", "{other} is {b} years older than {name}."),
            "younger": line("b -", "{other} is {b} years younger than {name}."),
            "twice": line("2 *", "{other} is twice as old as {name}."),
            "third": line("c -", "{third} is {c} years younger than {other}."),
            "other": line("", "How old is {other}?"),
            "youngest": line("", "How old is {third}?"),
            "later": line("b +", "How old will {other} be in {b} years?"),
            "thirdlater": line("b +", "How old will {third} be in {b} years?"),
            "sum": line("+", "What is the sum of the ages of {name} and {other}?"),
        },
        unseen=(
            "is older other",
            "is younger other",
            "is twice other",
            "is older later",
            "is twice third youngest",
            "is beside sum",
            "is twice third thirdlater",
        ),
    ),
    Situation(
        "garden",
        {"place": ("garden", "meadow", "playground", "field")},
        {
            "sides": line("l k", "{name}'s {place} is a rectangle {l} metres long and {k} metres wide."),
            "area": line(
                "*",
                "How many square metres does the {place} cover?",
                "What is the area of the {place} in square metres?",
            ),
            "pond": line("* b -", "A pond in it covers {b} square metres."),
            "rest": line("", "How many square metres of the {place} are not covered by the pond?"),
            "fence": line("+ 2 *", "A fence goes all the way around it."),
            "gate": line("e -", "Only at the gate, which is {e} metres wide, there is no fence."),
            "metres": line("", "How many metres of fence are there?"),
            "cost": line(
                "d *",
                "The fence costs {d} dollars a metre. How many dollars does the whole fence cost?",
                "How many dollars does the whole fence cost at {d} dollars a metre?",
            ),
        },
        unseen=(
            "sides area",
            "sides pond rest",
            "sides fence metres",
            "sides fence gate metres",
            "sides fence cost",
            "sides fence gate cost",
        ),
    ),
    Situation(
        "tank",
        {},
        {
            "has": line("a", "There are {a} litres of water in {name}'s tank."),
            "use": line("b -", "{who} takes out {b} litres for the flowers."),
            "buckets": line("k n * +", "{who} pours in {k} buckets of {n} litres each."),
            "leak": line("k d * -", "On each of the next {k} days {d} litres leak out."),
            "now": line(
                "",
                "How many litres of water are in the tank now?",
                "How many litres of water does the tank contain now?",
            ),
            "room": line(
                "t swap -",
                "The tank is full at {t} litres. How many more litres of water are needed to fill it?",
                "How many more litres of water fit into the tank if it holds {t} litres in all?",
            ),
        },
        unseen=(
            "has use now",
            "has room",
            "has leak now",
            "has buckets use now",
            "has buckets room",
            "has buckets leak now",
        ),
    ),
    Situation(
        "hall",
        {},
        {
            "rows": line(
                "k n *",
                "In the hall of {name}'s school there are {k} rows of {n} chairs.",
                "The hall of {name}'s school has {k} rows with {n} chairs in each.",
            ),
            "bring": line("b +", "{who} brings {b} more chairs."),
            "broken": line("c -", "{c} of the chairs are broken and are taken away."),
            "all": line("", "How many chairs are there in the hall?"),
            "now": line("", "How many chairs are in the hall now?"),
            "stand": line(
                "s swap -", "{s} guests come, and each chair is taken by one guest. How many guests have no chair?"
            ),
        },
        unseen=("rows all", "rows broken now", "rows stand", "rows bring broken now", "rows bring stand"),
    ),
    Situation(
        "parcels",
        {},
        {
            "vans": line(
                "k n *",
                "{name} loads {k} vans with {n} parcels each.",
                "{name} has {k} vans and loads {n} parcels into each.",
            ),
            "cars": line("k n * +", "{other} loads {k} cars with {n} parcels each."),
            "noon": line("b -", "By noon {b} of the parcels have been delivered."),
            "loaded": line("", "How many parcels does {name} load in all?"),
            "all": line("", "How many parcels do {name} and {other} load in all?"),
            "left": line("", "How many parcels are still to be delivered?"),
            "drivers": line(
                "k /",
                "{k} drivers deliver all the parcels, each the same number. How many parcels does each driver deliver?",
            ),
        },
        unseen=("vans loaded", "vans noon left", "vans cars all", "vans cars noon left", "vans cars drivers"),
    ),
    Situation(
        "lift",
        {},
        {
            "at": line("f", "{name} gets into a lift on floor {f}."),
            "up": line("b +", "The lift goes up {b} floors."),
            "down": line("c -", "The lift goes down {c} floors."),
            "again": line("c -", "Then it goes down {c} floors."),
            "last": line("b +", "After that it goes up {b} floors."),
            "where": line("", "On which floor is the lift now?"),
        },
        unseen=("at up where", "at down where", "at up again where", "at down last again where"),
    ),
    Situation(
        "hedge",
        {},
        {
            "is": line("t", "{name}'s hedge is {t} centimetres tall."),
            "cut": line("u -", "{who} cuts {u} centimetres off the top."),
            "grows": line("k n * +", "It grows {n} centimetres a month for {k} months."),
            "now": line("", "How many centimetres tall is {name}'s hedge now?"),
            "beside": line(
                "b +",
                "{other}'s hedge is {b} centimetres taller than {name}'s. How many centimetres tall is {other}'s hedge?",
            ),
        },
        unseen=("is beside", "is cut now", "is grows now", "is cut beside", "is grows beside"),
    ),
    Situation(
        "farm",
        {"animal": ("goat", "cow", "horse")},
        {
            "has": line("a", "{name}'s farm has {a} {animals}."),
            "sold": line("b -", "{who} sells {b} of the {animals}."),
            "buys": line("c +", "{who} buys {c} more {animals}."),
            "hay": line(
                "d *",
                "Each {animal} eats {d} kilograms of hay a day. How many kilograms of hay do the {animals} eat in a day?",
                "How many kilograms of hay do the {animals} eat in a day if each of them eats {d} kilograms?",
            ),
            "stables": line(
                "k /",
                "{who} puts all the {animals} into {k} stables, the same number in each. "
                "How many {animals} are in each stable?",
            ),
        },
        unseen=(
            "has hay",
            "has stables",
            "has sold hay",
            "has buys stables",
            "has sold buys stables",
            "has sold buys hay",
        ),
    ),
)
