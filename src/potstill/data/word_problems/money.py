"""Situations about money: buying, saving, prices, harvests, wages and outings."""

from potstill.data.word_problems.template import Situation, line

MONEY = (
    Situation(
        "shop",
        {"item": ("notebook", "candle", "mug", "cap"), "food": ("sandwich", "muffin", "salad", "pizza")},
        {
            "buys": line(
                "k p *",
                "{name} buys {k} {items} at {p} dollars each.",
                "{name} buys {k} {items}, which cost {p} dollars each.",
            ),
            "also": line("k p * +", "{who} also buys {k} {foods} at {p} dollars each."),
            "one": line("p +", "{who} also buys a book for {p} dollars.", "{who} also takes a scarf for {p} dollars."),
            "coupon": line(
                "b -", "With a coupon {he} gets {b} dollars off.", "The shop takes {b} dollars off the total price."
            ),
            "pays": line("", "How many dollars does {name} pay?", "How much does {name} pay, in dollars?"),
            "change": line(
                "h swap -",
                "{who} gives the cashier {h} dollars. How many dollars does {he} get back?",
                "How many dollars of change does {name} get from {h} dollars?",
            ),
            "split": line(
                "2 /",
                "{who} shares the cost equally with {other}. How many dollars does each of the two pay?",
                "If {name} and {other} share the cost equally, how many dollars does each of them pay?",
            ),
        },
        trained=(
            "buys pays",
            "buys one pays",
            "buys coupon pays",
            "buys change",
            "buys also pays",
            "buys one change",
            "buys coupon change",
            "buys also coupon pays",
            "buys one coupon change",
        ),
        unseen=("buys split", "buys one coupon pays", "buys one split", "buys also change", "buys also split"),
    ),
    Situation(
        "savings",
        {"present": ("present", "game", "ball", "poster")},
        {
            "has": line("a", "{name} has {a} dollars.", "{name} has {a} dollars in {his} money box."),
            "gift": line(
                "b +", "{his} grandmother gives {him} {b} dollars.", "{who} gets another {b} dollars from {other}."
            ),
            "spends": line(
                "b -", "Then {he} spends {b} dollars on a book.", "Then {he} pays {b} dollars for a bus ticket."
            ),
            "weekly": line("k n * +", "Over the next {k} weeks {he} saves {n} dollars a week."),
            "daily": line("k d * -", "On each of the next {k} days {he} spends {d} dollars."),
            "half": line("2 /", "{who} spends half of {his} money on a {present}."),
            "bicycle": line(
                "t swap -",
                "{who} wants a bicycle that costs {t} dollars. How many more dollars does {he} need?",
                "How many more dollars does {name} need for a bicycle that costs {t} dollars?",
            ),
            "now": line(
                "", "How many dollars does {name} have now?", "How much money does {name} have now, in dollars?"
            ),
        },
        trained=(
            "has gift now",
            "has bicycle",
            "has daily now",
            "has gift bicycle",
            "has half gift now",
            "has weekly spends now",
            "has gift half spends now",
            "has weekly bicycle",
            "has weekly daily now",
        ),
        unseen=(
            "has spends now",
            "has weekly now",
            "has spends bicycle",
            "has gift daily now",
            "has weekly spends bicycle",
        ),
    ),
    Situation(
        "price",
        {"item": ("plate", "towel", "pillow", "bowl")},
        {
            "pack": line(
                "t k /",
                "{name} pays {t} dollars in all for {k} identical {items}.",
                "{name} buys {k} identical {items}, which cost {t} dollars in all.",
            ),
            "dearer": line("b +", "In another shop each of these {items} costs {b} dollars more."),
            "cheaper": line("b -", "In another shop each of these {items} costs {b} dollars less."),
            "buys": line("d *", "{other} buys {d} {items} at the same price."),
            "buysthere": line("d *", "{other} buys {d} of them there."),
            "each": line("", "How many dollars does one {item} cost?"),
            "eachthere": line("", "How many dollars does one {item} cost in the other shop?"),
            "pays": line("", "How many dollars does {other} pay?"),
            "change": line(
                "h swap -", "{other} gives the cashier {h} dollars. How many dollars does {other} get back?"
            ),
        },
        trained=(
            "pack each",
            "pack buys pays",
            "pack dearer eachthere",
            "pack dearer buysthere pays",
            "pack buys change",
            "pack dearer buysthere change",
        ),
        unseen=("pack cheaper eachthere", "pack cheaper buysthere pays", "pack cheaper buysthere change"),
    ),
    Situation(
        "orchard",
        {"fruit": ("apple", "pear", "plum", "cherry")},
        {
            "trees": line("k", "{name} has {k} {fruit} trees.", "In {name}'s garden there are {k} {fruit} trees."),
            "plants": line("b +", "In spring {he} plants {b} more."),
            "baskets": line("n *", "Each of the trees gives {n} baskets of fruit."),
            "keeps": line("b -", "{who} keeps {b} baskets for {his} family.", "{who} gives {b} baskets to {other}."),
            "sellall": line("d *", "{who} sells all the baskets for {d} dollars each."),
            "sellrest": line("d *", "{who} sells the remaining baskets for {d} dollars each."),
            "all": line(
                "", "How many baskets of fruit are there in all?", "How many baskets of fruit does {name} get in all?"
            ),
            "count": line("", "How many {fruit} trees does {name} have now?"),
            "tosell": line("", "How many baskets does {name} have left?"),
            "money": line(
                "", "How many dollars does {name} take in?", "How much money does {name} get for the fruit, in dollars?"
            ),
            "stall": line(
                "c -",
                "A place at the market costs {him} {c} dollars. How many dollars does {name} have left from the sale?",
            ),
            "trips": line(
                "k /",
                "{who} takes all the baskets to the market in {k} trips, the same number each time. "
                "How many baskets does {he} take on each trip?",
            ),
        },
        trained=(
            "trees baskets all",
            "trees baskets keeps tosell",
            "trees baskets sellall money",
            "trees baskets sellall stall",
            "trees baskets keeps sellrest money",
            "trees baskets keeps sellrest stall",
        ),
        unseen=(
            "trees baskets trips",
            "trees plants count",
            "trees plants baskets all",
            "trees plants baskets keeps tosell",
        ),
    ),
    Situation(
        "work",
        {"place": ("a bakery", "a garden centre", "a hotel", "a cinema")},
        {
            "shift": line("k p *", "{name} works in {place} for {k} hours at {p} dollars an hour."),
            "hours": line("b c +", "{name} works in {place} for {b} hours on Monday and {c} hours on Tuesday."),
            "unpaid": line("e -", "{who} is not paid for {e} of these hours."),
            "wage": line("p *", "{who} earns {p} dollars an hour.", "The pay is {p} dollars an hour."),
            "tips": line("b +", "{who} also gets {b} dollars in tips.", "Tips bring {him} another {b} dollars."),
            "fare": line("c -", "{who} spends {c} dollars of {his} pay on the bus."),
            "total": line("", "How many hours does {name} work in all?"),
            "earn": line(
                "", "How many dollars does {name} get in all?", "How much does {name} get in all, in dollars?"
            ),
            "left": line("", "How many dollars does {name} have left?"),
        },
        trained=(
            "hours total",
            "hours wage earn",
            "shift fare left",
            "hours wage tips earn",
            "hours wage fare left",
            "hours unpaid wage earn",
            "hours unpaid wage tips earn",
        ),
        unseen=("shift earn", "shift tips earn", "shift tips fare left", "hours wage tips fare left"),
    ),
    Situation(
        "outing",
        {"place": ("zoo", "museum", "castle", "lake", "theatre")},
        {
            "group": line(
                "b c +",
                "{b} adults and {c} children from {name}'s club want to go to the {place}.",
                "{name} plans a trip to the {place} for {b} adults and {c} children.",
            ),
            "ill": line("e -", "But {e} of them are ill and stay at home."),
            "ticket": line("p *", "The ticket costs {p} dollars for each person.", "Each person pays {p} dollars."),
            "parking": line("b +", "Parking costs another {b} dollars."),
            "discount": line("b -", "The group gets a discount of {b} dollars."),
            "people": line("", "How many people are going?"),
            "pay": line(
                "", "How many dollars does the trip cost in all?", "What is the cost of the whole trip in dollars?"
            ),
            "cars": line(
                "k /",
                "{k} people travel in each car. How many cars do they need?",
                "How many cars do they need if {k} people travel in each car?",
            ),
        },
        trained=(
            "group people",
            "group cars",
            "group ticket pay",
            "group ticket parking pay",
            "group ill cars",
            "group ill ticket parking pay",
        ),
        unseen=("group ill people", "group ticket discount pay", "group ill ticket discount pay"),
    ),
)
