"""Situations about distances, pages, minutes, points, sales by day, and amounts at an earlier time."""

from potstill.data.word_problems.template import Situation, line

MEASURES = (
    Situation(
        "ride",
        {},
        {
            "ride": line(
                "l k *",
                "{name} cycles for {k} hours at {l} kilometres an hour.",
                "{name} rides a bicycle at {l} kilometres an hour for {k} hours.",
            ),
            "walk": line("b +", "Then {he} walks {b} kilometres."),
            "second": line("l k * +", "After lunch {he} cycles for another {k} hours at {l} kilometres an hour."),
            "back": line("2 *", "Then {he} goes all the way back by the same road."),
            "far": line(
                "",
                "How many kilometres does {name} travel in all?",
                "How far does {name} travel in all, in kilometres?",
            ),
            "trip": line("t swap -", "The whole trip is {t} kilometres long. How many kilometres are left?"),
            "plan": line("t", "{name} has to travel {t} kilometres."),
            "train": line("u -", "{who} takes the train for the first {u} kilometres."),
            "speed": line(
                "l /",
                "{who} cycles at {l} kilometres an hour. How many hours does the trip take?",
                "How many hours does {name} need if {he} cycles at {l} kilometres an hour?",
            ),
            "rest": line(
                "l /",
                "{who} cycles the remaining distance at {l} kilometres an hour. How many hours does {he} cycle?",
            ),
        },
        trained=(
            "ride far",
            "plan speed",
            "ride walk far",
            "ride back far",
            "ride trip",
            "ride second far",
            "ride walk back far",
            "ride second trip",
            "ride second walk far",
        ),
        unseen=("plan train rest", "ride walk trip", "ride second back far"),
    ),
    Situation(
        "reading",
        {},
        {
            "book": line("t", "{name}'s book has {t} pages.", "{name} starts a book of {t} pages."),
            "saturday": line("u -", "On Saturday {who} reads {u} pages."),
            "nextday": line("u -", "On the day after that {who} reads {u} pages."),
            "sunday": line("u -", "On Sunday {who} reads {u} pages."),
            "daily": line("k n * -", "{who} reads {n} pages a day for {k} days."),
            "faster": line("k n * -", "After a break {he} reads {n} pages a day for another {k} days."),
            "left": line(
                "", "How many pages does {name} still have to read?", "How many pages of the book are left to read?"
            ),
            "days": line(
                "k /",
                "{who} reads {k} pages a day. How many days does the book last?",
                "How many days does {name} need for the book if {he} reads {k} pages a day?",
            ),
            "rest": line(
                "k /", "From then on {who} reads {k} pages a day. How many more days does {he} need to finish the book?"
            ),
        },
        trained=(
            "book saturday left",
            "book days",
            "book daily left",
            "book saturday sunday left",
            "book daily nextday left",
            "book daily rest",
            "book daily nextday rest",
        ),
        unseen=("book saturday rest", "book saturday sunday rest", "book daily faster left"),
    ),
    Situation(
        "minutes",
        {"instrument": ("piano", "violin", "guitar", "flute")},
        {
            "home": line("a", "{name} does homework for {a} minutes."),
            "music": line("u +", "Then {he} plays the {instrument} for {u} minutes."),
            "puzzles": line("k n * +", "Then {he} solves {k} puzzles, which take {n} minutes each."),
            "days": line("d *", "{who} does the same on {d} days in all."),
            "total": line(
                "", "How many minutes does {name} spend in all?", "How many minutes does {name} need for all of it?"
            ),
            "supper": line("t", "{name} has {t} minutes until supper.", "It is {t} minutes until {name}'s supper."),
            "homework": line("u -", "{who} does homework for {u} of these minutes."),
            "play": line("u -", "Then {he} plays the {instrument} for {u} minutes."),
            "solve": line("k n * -", "Then {he} solves {k} puzzles, which take {n} minutes each."),
            "left": line("", "How many minutes are left until supper?"),
        },
        trained=(
            "home music total",
            "home days total",
            "home music days total",
            "supper homework play left",
            "home music puzzles total",
            "supper homework solve left",
            "supper homework play solve left",
        ),
        unseen=("supper homework left", "home puzzles total", "home puzzles days total"),
    ),
    Situation(
        "points",
        {"game": ("a card game", "a quiz", "a board game")},
        {
            "rounds": line("k n *", "In {game} {name} wins {k} rounds, and each win gives {n} points."),
            "lose": line("b -", "Then {he} loses {b} points."),
            "bonus": line("b +", "{who} also gets a bonus of {b} points."),
            "wrong": line("k d * -", "{who} loses {d} points for each of {k} mistakes."),
            "joker": line("2 *", "A joker doubles all {his} points.", "Then {his} points are doubled."),
            "now": line("", "How many points does {name} have now?", "How many points does {name} have in the end?"),
            "behind": line(
                "t swap -",
                "{other} has {t} points. How many more points does {other} have than {name}?",
                "{other} has {t} points. By how many points is {name} behind {other}?",
            ),
        },
        trained=(
            "rounds now",
            "rounds lose now",
            "rounds joker now",
            "rounds behind",
            "rounds wrong now",
            "rounds lose joker now",
            "rounds bonus behind",
            "rounds wrong joker now",
            "rounds lose joker behind",
        ),
        unseen=("rounds bonus now", "rounds joker lose now", "rounds wrong behind", "rounds lose bonus joker now"),
    ),
    Situation(
        "sales",
        {"item": ("basket", "kite", "lantern", "puppet")},
        {
            "monday": line("f", "On Monday {name} sells {f} {items}."),
            "more": line("dup b +", "On Tuesday {who} sells {b} more than on Monday."),
            "fewer": line("dup c -", "On Wednesday {who} sells {c} fewer than on Tuesday."),
            "times": line("dup m *", "On Tuesday {who} sells {m} times as many as on Monday."),
            "money": line("+ d *", "Each {item} costs {d} dollars. How many dollars does {name} take in on both days?"),
            "stock": line(
                "+ t swap -", "{name} started with {t} {items}. How many {items} are left after the two days?"
            ),
            "three": line(
                "+ +",
                "How many {items} does {name} sell on the three days together?",
                "How many {items} does {name} sell in these three days?",
            ),
        },
        trained=("monday more money", "monday times stock", "monday more fewer three"),
        unseen=("monday times money", "monday more stock", "monday times fewer three"),
    ),
    Situation(
        "earlier",
        {"item": ("nut", "grape", "peanut", "sweet")},
        {
            "gave": line("b", "{name} had some {items} and gave {b} of them to {other}."),
            "found": line("b", "{name} had some {items}. {other} gave {him} {b} more."),
            "halved": line("", "{name} gave half of {his} {items} to {other}."),
            "shared": line("k", "{name} gave the same number of {items} to each of {k} friends."),
            "each": line("n *", "Each friend got {n}, and none were left over.", "Each got {n}, and {name} kept none."),
            "got": line("n *", "Each friend got {n} {items}."),
            "kept": line("b +", "{who} kept the last {b} {items}."),
            "ate": line("c +", "{who} also ate {c} {items}."),
            "atehalf": line("c", "Then {he} ate {c} {items}."),
            "passed": line("c", "Then {he} gave {c} {items} to {third}."),
            "left": line("a +", "Now {he} has {a} {items} left."),
            "has": line("a swap -", "Now {he} has {a} {items}."),
            "hasafter": line("a + swap -", "Now {he} has {a} {items}."),
            "halfleft": line("a 2 *", "Now {he} has {a} {items} left."),
            "halfafter": line("a + 2 *", "Now {he} has {a} {items} left."),
            "first": line(
                "", "How many {items} did {name} have at first?", "How many {items} did {name} have at the start?"
            ),
        },
        trained=(
            "gave left first",
            "found has first",
            "shared each first",
            "gave ate left first",
            "shared got kept first",
            "shared got ate kept first",
        ),
        unseen=("halved halfleft first", "halved atehalf halfafter first", "found passed hasafter first"),
    ),
)
