"""Rows in each format of the published data sets, and their conversion; the contents are our own."""


def choice_question(question, *options, **more):
    return {"question": question, "options": list(options), **more}


def turns(*contents):
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]


WET = {"premise": "A man walks through the rain.", "hypothesis": "The man is wet."}
PLANK = "A plank of 3 m is cut in two. How long is each piece?"
LAMP = "Mia: Is the lamp broken?\nTom: No, it was only unplugged."
MIA = "Mia asks about the lamp; Tom says that it was unplugged."
SYSTEM = {"role": "system", "content": "Be brief."}

ROWS = [
    (
        "gsm8k",
        {"question": "Bo has 4 pens and buys 3. How many now?", "answer": "4 + 3 = <<4+3=7>>7 pens.\n#### 7"},
        {"question": "Bo has 4 pens and buys 3. How many now?", "rationale": "4 + 3 = 7 pens.", "gold": "7"},
    ),
    ("gsm8k", {"question": "Of 2000 seats half are sold. How many?", "answer": "#### 1,000"}, {
        "question": "Of 2000 seats half are sold. How many?", "gold": "1,000",
    }),
    ("multiarith", {"question": " Ann baked 12 rolls and ate 2. How many are left? ", "final_ans": "10"}, {
        "question": "Ann baked 12 rolls and ate 2. How many are left?", "gold": "10",
    }),
    (
        "svamp",
        {
            "ID": "chal-x", "Body": "A box holds 6 eggs. If there are 5", "Question": "how many eggs are there?",
            "Equation": "( 6.0 * 5.0 )", "Answer": 30.0, "Type": "Multiplication",
        },
        {"id": "chal-x", "question": "A box holds 6 eggs. If there are 5 how many eggs are there?", "gold": "30"},
    ),
    (
        "svamp",
        {
            "ID": "chal-y", "Body": "Ten eggs fill four cups. ", "Question": "How many eggs fill one?",
            "Equation": "( 10.0 / 4.0 )", "Answer": "2.5", "Type": "Common-Division",
            "question_concat": "Ten eggs fill four cups. How many eggs fill one?",
        },
        {"id": "chal-y", "question": "Ten eggs fill four cups. How many eggs fill one?", "gold": "2.5"},
    ),
    ("snli", WET | {"label": 0}, WET | {"gold": "entailment"}),
    ("snli", WET | {"label": 1}, WET | {"gold": "neutral"}),
    ("snli", WET | {"label": 2}, WET | {"gold": "contradiction"}),
    ("snli", WET | {"label": -1}, WET | {"gold": None}),
    *(
        (
            "snli",
            {
                "annotator_labels": ["neutral", "entailment"], "captionID": "1.jpg#0", "gold_label": label,
                "pairID": "1.jpg#0r1n", "sentence1": WET["premise"], "sentence2": WET["hypothesis"],
            },
            WET | {"gold": gold},
        )
        for label, gold in (("neutral", "neutral"), ("-", None))
    ),
    ("anli", WET | {"uid": "u-1", "label": 1, "reason": "He may have an umbrella."}, WET | {
        "id": "u-1", "gold": "neutral", "rationale": "He may have an umbrella.",
    }),
    ("anli", WET | {"uid": "u-2", "label": 2, "reason": ""}, WET | {"id": "u-2", "gold": "contradiction"}),
    ("conjnli", WET | {"label": 0}, WET | {"gold": "entailment"}),
    ("conjnli", WET | {"label": -1}, WET | {"gold": None}),
    ("conjnli", {"Premise": WET["premise"], "Hypothesis": WET["hypothesis"], "Label": "contradiction"}, WET | {
        "gold": "contradiction",
    }),
    ("conjnli", {"Premise": WET["premise"], "Hypothesis": WET["hypothesis"]}, WET | {"gold": None}),
    (
        "commonsense_qa",
        {
            "id": "c0", "question": "Where is bread baked?", "question_concept": "bread", "answerKey": "C",
            "choices": {"label": ["A", "B", "C", "D", "E"], "text": ["bed", "river", "oven", "shoe", "sky"]},
        },
        choice_question("Where is bread baked?", "bed", "river", "oven", "shoe", "sky", id="c0", gold="C"),
    ),
    (
        "commonsense_qa",
        {
            "id": "c1", "question": "Where do fish live?", "question_concept": "fish", "answerKey": "",
            "choices": {"label": ["A", "B"], "text": ["river", "oven"]},
        },
        choice_question("Where do fish live?", "river", "oven", id="c1", gold=None),
    ),
    (
        "commonsense_qa",
        {
            "id": "c2", "answerKey": "B",
            "question": {
                "question_concept": "fish", "stem": "Where do fish live?",
                "choices": [{"label": "A", "text": "oven"}, {"label": "B", "text": "river"}],
            },
        },
        choice_question("Where do fish live?", "oven", "river", id="c2", gold="B"),
    ),
    (
        "arc",
        {
            "id": "Own_1", "question": "What do plants take in?", "answerKey": "B",
            "choices": {"text": ["sand", "light", "noise", "glass"], "label": ["A", "B", "C", "D"]},
        },
        choice_question("What do plants take in?", "sand", "light", "noise", "glass", id="Own_1", gold="B"),
    ),
    (
        "arc",
        {
            "id": "Own_2", "question": "Which is the third planet?", "answerKey": "3",
            "choices": {"text": ["Mars", "Venus", "Earth", "Saturn"], "label": ["1", "2", "3", "4"]},
        },
        choice_question("Which is the third planet?", "Mars", "Venus", "Earth", "Saturn", id="Own_2", gold="C"),
    ),
    # A label that is the text of another option, and options that look like labels.
    (
        "arc",
        {
            "id": "Own_3", "question": "How many legs has a tripod?", "answerKey": "4",
            "choices": {"text": ["4", "2", "1", "3"], "label": ["1", "2", "3", "4"]},
        },
        choice_question("How many legs has a tripod?", "4", "2", "1", "3", id="Own_3", gold="D"),
    ),
    (
        "arc",
        {
            "id": "Own_4", "question": PLANK, "answerKey": "A",
            "choices": {"text": ["1.5 m", "2.5 m", "3.5 m", "4.5 m"], "label": ["A", "B", "C", "D"]},
        },
        choice_question(PLANK, "1.5 m", "2.5 m", "3.5 m", "4.5 m", id="Own_4", gold="A"),
    ),
    (
        "arc",
        {
            "id": "Own_5", "question": "Which letter comes first?", "answerKey": "A",
            "choices": {"text": ["A", "D", "C", "B"], "label": ["A", "B", "C", "D"]},
        },
        choice_question("Which letter comes first?", "A", "D", "C", "B", id="Own_5", gold="A"),
    ),
    (
        "arc",
        {
            "id": "Own_6", "question": "Which letter comes last?", "answerKey": "B",
            "choices": {"text": ["B", "D", "C", "A"], "label": ["A", "B", "C", "D"]},
        },
        choice_question("Which letter comes last?", "B", "D", "C", "A", id="Own_6", gold="B"),
    ),
    (
        "aqua_rat",
        {
            "question": "What is 3 times 7?", "options": ["A)20", "B)21", "C)24", "D)27", "E)None of these"],
            "rationale": "7 + 7 + 7 = 21\nAnswer is B.", "correct": "B",
        },
        choice_question(
            "What is 3 times 7?", "20", "21", "24", "27", "None of these", gold="B",
            rationale="7 + 7 + 7 = 21",
        ),
    ),
    # A duplicate option appears once: an incorrect one, and the correct one.
    (
        "aqua_rat",
        {
            "question": "Half of 18?", "options": ["A)8", "B)7", "C)8", "D)9", "E)10"], "rationale": "", "correct": "D",
        },
        choice_question("Half of 18?", "8", "7", "9", "10", gold="C"),
    ),
    (
        "aqua_rat",
        {
            "question": "Half of 18?", "options": ["A)8", "B)9", "C)7", "D)9 ", "E)10"],
            "rationale": "", "correct": "D",
        },
        choice_question("Half of 18?", "8", "9", "7", "10", gold="B"),
    ),
    ("samsum", {"id": "77", "dialogue": LAMP, "summary": MIA}, {
        "id": "77", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    ("dialogsum", {"id": "test_4_2", "dialogue": LAMP, "summary": MIA, "topic": "a lamp"}, {
        "id": "test_4_2", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    ("dialogsum", {"fname": "train_4", "dialogue": LAMP, "summary": MIA, "topic": "a lamp"}, {
        "id": "train_4", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    (
        "dialogsum",
        {
            "fname": "test_4", "dialogue": LAMP, "summary1": MIA, "topic1": "a lamp", "summary2": "The lamp is well.",
            "topic2": "lamps", "summary3": "It was unplugged.", "topic3": "light",
        },
        {"id": "test_4", "document": LAMP, "group": LAMP, "gold": MIA},
    ),
    (
        "chain_of_density",
        {
            "article": "The bridge over the Elm opened today.", "highlights": "A bridge opened.", "id": "f00",
            "prediction": ["This text is about a bridge.", "The Elm bridge opened."], "missing": ["bridge", "Elm"],
            "model": "gpt-4", "num_tokens": [6, 4], "num_entities": [1, 1], "entity_density": [0.16, 0.25],
        },
        {
            "document": "The bridge over the Elm opened today.", "group": "The bridge over the Elm opened today.",
            "gold": "A bridge opened.",
        },
    ),
    (
        "baize_quora",
        {
            "topic": "Why is tea hot?",
            "input": "The conversation between human and AI assistant.\n[|Human|] Hello!\n[|AI|] Hi!\nWhat is it?\n"
            "[|Human|] Why is tea hot?\n[|AI|] It is brewed hot.\n[|Human|] ",
        },
        {"messages": turns("Hello!", "Hi!\nWhat is it?", "Why is tea hot?"), "gold": "It is brewed hot."},
    ),
    (
        "baize_quora",
        {"chat_sample": "A talk.\n[|Human|] Hello!\n[|AI|] Hi!\n[|Human|] ", "dataset_origin": "quora"},
        {"messages": turns("Hello!"), "gold": "Hi!"},
    ),
    (
        "baize_quora",
        {"topic": "Tea", "input": "A talk.\n[|Human|] Hello!\n[|AI|] Hi!\n[|Human|] Tea?\n[|AI|] \n[|Human|] "},
        {"messages": turns("Hello!"), "gold": "Hi!"},
    ),
    ("mt_bench", {"question_id": 7, "category": "writing", "turns": ["Write a rhyme.", "Now without an e."]}, {
        "id": 7, "messages": turns("Write a rhyme.", "", "Now without an e."), "gold": None,
    }),
    (
        "mt_bench",
        {"question_id": 8, "category": "math", "turns": ["What is 2 + 2?", "And times 3?"], "reference": ["4", "12"]},
        {"id": 8, "messages": turns("What is 2 + 2?", "", "And times 3?"), "gold": None, "reference": ["4", "12"]},
    ),
    ("openai_chat", {"messages": [SYSTEM, *turns("What is a comma?", "A short pause.")]}, {
        "messages": [SYSTEM, *turns("What is a comma?")], "gold": "A short pause.",
    }),
    (
        "openai_chat",
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "And a dot?"}], "name": "Kim"},
                {"role": "assistant", "content": "A dash.", "weight": 0, "function_call": None, "tool_calls": None},
                {"role": "user", "content": "Sure?"},
                {"role": "assistant", "content": "No: an end.", "weight": 1},
            ]
        },
        {"messages": [SYSTEM, *turns("And a dot?", "A dash.", "Sure?")], "gold": "No: an end."},
    ),
    ("alpaca", {"instruction": "Name a tea.", "input": "", "output": "Assam.", "text": "..."}, {
        "messages": turns("Name a tea."), "gold": "Assam.",
    }),
    ("alpaca", {"instruction": "Shorten.", "input": "Tea is a hot drink.", "output": "Tea is hot."}, {
        "messages": turns("Shorten.\n\nTea is a hot drink."), "gold": "Tea is hot.",
    }),
    ("alpaca", {"instruction": "Name a tea.", "output": "Assam."}, {"messages": turns("Name a tea."), "gold": "Assam."}),
    ("dolly", {"instruction": "Shorten.", "context": "Tea is hot.", "response": "Hot.", "category": "summarization"}, {
        "messages": turns("Shorten.\n\nTea is hot."), "gold": "Hot.",
    }),
    ("prompt_completion", {"prompt": "Name a tea.", "completion": "Assam."}, {
        "messages": turns("Name a tea."), "gold": "Assam.",
    }),
    ("openai_chat", {"messages": turns("Unanswered?")}, {"messages": turns("Unanswered?"), "gold": None}),
]  # fmt: skip
