"""Published data sets by name: how their rows become examples.

Each names the source of its row format; `verified` is False where part of the format could not be confirmed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

from potstill.errors import RecipeError, did_you_mean
from potstill.tasks.messages import parse_messages

Row = Mapping[str, Any]
_CALCULATOR = re.compile(r"<<[^<>\n]{0,200}>>")
"""Calculator annotations that the authors of GSM8K put into the reasoning."""
_FINAL_LETTER = re.compile(
    r"(?:\b(?:the|so|hence|correct|answer|ans|option|choice|is)\b[\s:,=-]{0,3}){1,6}\(?[A-E]\b[).]{0,2}\s*$", re.I
)


@dataclass(frozen=True)
class Preset:
    """A data set: its task, its columns, and how its rows become examples."""

    name: str
    task: str
    schema: tuple[str, ...]
    """The data set's names of its columns."""
    convert: Callable[[Row], dict[str, Any] | None]
    """A row in potstill's columns: the task's, `gold`, and the optional ones (`rationale`, `group`, `id`, `reference`); None for a row
    that is left out. Raises KeyError, TypeError, ValueError, AttributeError or IndexError for a row in another format."""
    reference: str
    """Source of the row format."""
    verified: bool = True
    hub: str = ""
    config: str | None = None
    splits: Mapping[str, str | int] = field(
        default_factory=lambda: {"train": "train", "validation": "validation", "test": "test"}
    )
    """Its split for each of potstill's, or the number of rows to draw from `train`."""
    unlabelled: Literal["refuse", "keep", "drop"] | None = None


def lookup(name: str) -> Preset:
    """The preset of that name. Raises `RecipeError` for an unknown name."""
    if name not in PRESETS:
        raise RecipeError(
            f"data.preset: there is no '{name}'.{did_you_mean(name, list(PRESETS))} "
            f"Presets: {', '.join(sorted(PRESETS))}."
        )
    return PRESETS[name]


def _gsm8k(row: Row) -> dict[str, Any]:
    rationale, separator, gold = _CALCULATOR.sub("", row["answer"]).rpartition("####")
    if not separator:
        raise ValueError("the answer has no '#### NUMBER'")
    return {"question": row["question"], "rationale": rationale.strip() or None, "gold": gold.strip()}


def _multiarith(row: Row) -> dict[str, Any]:
    return {"question": row["question"], "gold": row["final_ans"]}


def _svamp(row: Row) -> dict[str, Any]:
    question = f"{row['Body'].strip()} {row['Question'].strip()}"
    return {"id": row["ID"], "question": question, "gold": str(row["Answer"]).removesuffix(".0")}


def _nli(row: Row) -> dict[str, Any]:
    gold = None if row["label"] in (-1, "-1", "-", "", None) else row["label"]
    return {"premise": row["premise"], "hypothesis": row["hypothesis"], "gold": gold}


def _snli(row: Row) -> dict[str, Any]:
    if "sentence1" in row:  # format of the data set's own files
        row = {"premise": row["sentence1"], "hypothesis": row["sentence2"], "label": row["gold_label"]}
    return _nli(row)


def _anli(row: Row) -> dict[str, Any]:
    return _nli(row) | {"id": row["uid"], "rationale": row["reason"] or None}


def _conjnli(row: Row) -> dict[str, Any]:
    """The data set's own files capitalize the column names, and its test file has no labels."""
    return _nli({"label": None} | {name.lower(): value for name, value in row.items()})


def _choice(question: str, options: Sequence[str], correct: int | None) -> dict[str, Any]:
    """Options with a letter before each, so that an option such as "1.5" is not parsed as the label "1" and the text "5".

    A duplicate option, as in AQuA-RAT, appears once. correct: the index of the correct option.
    """
    texts = [" ".join(option.split()) for option in options]
    distinct = list(dict.fromkeys(texts))
    gold = None if correct is None else chr(ord("A") + distinct.index(texts[correct]))
    return {
        "question": question,
        "options": [f"{chr(ord('A') + i)}) {option}" for i, option in enumerate(distinct)],
        "gold": gold,
    }


def _labelled_choices(row: Row) -> dict[str, Any]:
    """CommonsenseQA and ARC: the key is one of the labels, which are letters or numbers; without a key there is no gold."""
    question, key = row["question"], row.get("answerKey")
    if isinstance(question, Mapping):  # format of the data sets' own files
        labels, options = zip(*((choice["label"], choice["text"]) for choice in question["choices"]), strict=True)
        question = question["stem"]
    else:
        labels, options = row["choices"]["label"], row["choices"]["text"]
    return {"id": row["id"]} | _choice(question, options, labels.index(key) if key else None)


def _aqua_rat(row: Row) -> dict[str, Any]:
    letters, _, options = zip(*(option.partition(")") for option in row["options"]), strict=True)
    # Removing a duplicate option shifts the letters, so a final sentence that names a letter may be incorrect.
    rationale = _FINAL_LETTER.sub("", row["rationale"]).strip()
    return _choice(row["question"], options, letters.index(row["correct"])) | {"rationale": rationale or None}


def _summary(document: str | None, gold: str) -> dict[str, Any] | None:
    """Several summaries of one document are not independent examples: the document is the group."""
    if not (document or "").strip():  # SAMSum has an empty chat
        return None
    return {"document": document, "group": document, "gold": gold}


def _samsum(row: Row) -> dict[str, Any] | None:
    summary = _summary(row["dialogue"], row["summary"])
    return summary and {"id": row["id"]} | summary


def _dialogsum(row: Row) -> dict[str, Any] | None:
    if "fname" in row:  # format of the data set's own files; the test split has three summaries
        row = {**row, "id": row["fname"], "summary": row["summary1" if "summary1" in row else "summary"]}
    return _samsum(row)


def _chain_of_density(row: Row) -> dict[str, Any] | None:
    """Gold is the human summary; `prediction` holds GPT-4's chain, round by round."""
    return _summary(row["article"], row["highlights"])


def _chat(messages: list[dict[str, str]]) -> dict[str, Any]:
    """A chat. If it ends with a reply, that reply is gold."""
    ends_with_reply = messages[-1]["role"] == "assistant"
    return {
        "messages": messages[:-1] if ends_with_reply else messages,
        "gold": messages[-1]["content"] if ends_with_reply else None,
    }


def _baize_quora(row: Row) -> dict[str, Any] | None:
    """A chat up to its first empty turn; on the hub, rows that do not come from Quora are left out."""
    if "quora" not in str(row.get("dataset_origin", "quora")).lower():
        return None
    text = row["input"] if "input" in row else row["chat_sample"]
    turns = [turn.partition("[|AI|]")[::2] for turn in text.split("[|Human|]")[1:]]
    if not turns:
        raise ValueError("there is no '[|Human|]' in it")
    messages = [
        {"role": role, "content": content.strip()}
        for turn in takewhile(lambda turn: all(map(str.strip, turn)), turns)
        for role, content in zip(("user", "assistant"), turn, strict=True)
    ]
    return _chat(messages) if messages else None


def _mt_bench(row: Row) -> dict[str, Any]:
    """Both turns of the user, with a reference answer to each where there is one: each system answers the second turn after its own first
    answer."""
    return {"id": row["question_id"], "turns": row["turns"], "reference": row.get("reference"), "gold": None}


def _openai_chat(row: Row) -> dict[str, Any]:
    if "preferred_output" in row or "non_preferred_output" in row:
        raise ValueError("preferences between two replies are not supported, only chats under 'messages'")
    return _chat(parse_messages(row["messages"]))


def _instruction(instruction: str, context: str, response: str) -> Callable[[Row], dict[str, Any]]:
    """A converter of rows with an instruction, an optional context, and a response, given the names of these columns."""

    def convert(row: Row) -> dict[str, Any]:
        parts = (row[instruction], row.get(context) or "")
        content = "\n\n".join(part.strip() for part in parts if part.strip())
        return {"messages": [{"role": "user", "content": content}], "gold": row[response]}

    return convert


_NLI = ("premise", "hypothesis", "label")
_LABELLED = ("id", "question", "choices", "answerKey")
_CARDS = "huggingface/datasets"  # when it still held the cards and scripts of the data sets


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "gsm8k", "math", ("question", "answer"), _gsm8k, "openai/grade-school-math README, data/*.jsonl",
            hub="openai/gsm8k", config="main", splits={"train": "train", "validation": 200, "test": "test"},
        ),
        Preset(
            "multiarith", "math", ("question", "final_ans"), _multiarith,
            "huggingface.co/datasets/ChilleD/MultiArith (commits); PyPI llmdataset 0.1.1, dataset/multiarith.py",
            hub="ChilleD/MultiArith", splits={"train": "train", "validation": 60, "test": "test"},
        ),
        Preset(
            "svamp", "math", ("ID", "Body", "Question", "Equation", "Answer", "Type"), _svamp,
            "arkilpatel/SVAMP SVAMP.json; huggingface.co/datasets/kinit/svamp README (a copy of ChilleD/SVAMP)",
            hub="ChilleD/SVAMP", splits={"train": "train", "validation": 100, "test": "test"},
        ),
        Preset(
            "snli", "nli", _NLI, _snli, f"{_CARDS} datasets/snli/README.md, snli.py; card of stanfordnlp/snli",
            hub="stanfordnlp/snli", unlabelled="drop",
        ),
        Preset(  # the third round, the largest; data.train, data.validation and data.test name the others
            "anli", "nli", ("uid", *_NLI, "reason"), _anli, f"{_CARDS} datasets/anli/README.md, anli.py",
            hub="facebook/anli", splits={"train": "train_r3", "validation": "dev_r3", "test": "test_r3"},
        ),
        Preset(  # its test split has no labels: systems are compared on its development split
            "conjnli", "nli", _NLI, _conjnli,
            "swarnaHub/ConjNLI data/NLI/*.tsv; huggingface.co/datasets/pietrolesci/conj_nli README, dataset_infos.json",
            hub="pietrolesci/conj_nli", splits={"train": "train", "validation": 500, "test": "dev"}, unlabelled="drop",
        ),
        Preset(  # as for conjnli
            "commonsense_qa", "multiple_choice", _LABELLED, _labelled_choices,
            f"{_CARDS} datasets/commonsense_qa/README.md, commonsense_qa.py; card of tau/commonsense_qa",
            hub="tau/commonsense_qa", splits={"train": "train", "validation": 500, "test": "validation"},
        ),
        Preset(
            "arc", "multiple_choice", _LABELLED, _labelled_choices,
            f"{_CARDS} datasets/ai2_arc/README.md, ai2_arc.py; EleutherAI/lm-evaluation-harness lm_eval/tasks/arc.py",
            hub="allenai/ai2_arc", config="ARC-Challenge",
        ),
        Preset(
            "aqua_rat", "multiple_choice", ("question", "options", "rationale", "correct"), _aqua_rat,
            f"google-deepmind/AQuA dev.json, test.json; {_CARDS} datasets/aqua_rat/README.md",
            hub="deepmind/aqua_rat", config="raw",
        ),
        Preset(
            "samsum", "summarization", ("id", "dialogue", "summary"), _samsum,
            f"{_CARDS} datasets/samsum/README.md, samsum.py", hub="knkarthick/samsum",
        ),
        Preset(
            "dialogsum", "summarization", ("id", "dialogue", "summary", "topic"), _dialogsum,
            "cylnlp/dialogsum DialogSum_Data/*.jsonl; huggingface.co/datasets/dipanjanS/dialogsum-copy README",
            hub="knkarthick/dialogsum",
        ),
        Preset(  # the other configuration, `annotated`, has 100 rows in a split `test`
            "chain_of_density", "summarization", ("article", "highlights", "id", "prediction", "missing"),
            _chain_of_density, "huggingface.co/datasets/griffin/chain_of_density README",
            hub="griffin/chain_of_density", config="unannotated",
            splits={"train": "train", "validation": 100, "test": 200},
        ),
        Preset(  # not verified: how its column `dataset_origin` names Quora
            "baize_quora", "conversation", ("chat_sample", "dataset_origin"), _baize_quora,
            "project-baize/baize-chatbot preprocess.py (topic, input); card of linkanjarad/baize-chat-data; "
            "huggingface.co/datasets/santhoshmlops/Skai_Mistral_AI_Data README (a copy of it)", verified=False,
            hub="linkanjarad/baize-chat-data", splits={"train": "train", "validation": 200, "test": 500},
        ),
        Preset(  # 80 test questions, in a split called `train`; there are no training questions
            "mt_bench", "conversation", ("question_id", "category", "turns", "reference"), _mt_bench,
            "lm-sys/FastChat fastchat/llm_judge/data/mt_bench/question.jsonl; card of lighteval/mt-bench",
            hub="lighteval/mt-bench", splits={"test": "train"},
        ),
        Preset(
            "alpaca", "conversation", ("instruction", "output"), _instruction("instruction", "input", "output"),
            "huggingface.co/datasets/bertin-project/alpaca-spanish dataset_info.json (a translation of it)",
            hub="tatsu-lab/alpaca", splits={"train": "train", "validation": 200, "test": 500},
        ),
        Preset(
            "dolly", "conversation", ("instruction", "response"), _instruction("instruction", "context", "response"),
            "card of aisquared/databricks-dolly-15k",
            hub="databricks/databricks-dolly-15k", splits={"train": "train", "validation": 200, "test": 500},
        ),
        Preset(  # formats of files, not of a data set
            "prompt_completion", "conversation", ("prompt", "completion"), _instruction("prompt", "", "completion"),
            "huggingface/trl docs/source/dataset_formats.md", splits={},
        ),
        Preset(
            "openai_chat", "conversation", ("messages",), _openai_chat,
            "openai/openai-cookbook examples/Chat_finetuning_data_prep.ipynb; "
            "docs.rs/crate/openai-client-base docs/FineTunePreferenceRequestInput.md", splits={},
        ),
    )
}  # fmt: skip
