"""Overlap, repetition and density of texts in any script; what has no score says so."""

import pytest

from golden import prediction, summarize
from potstill import metrics
from potstill.tasks.registry import parse_task
from potstill.tasks.summarization import ROUNDS, Summarization

SENTENCES = {  # gold, a part of it, another text
    "english": ("The harbour was empty all winter.", "The harbour was empty.", "Nine dogs ran uphill."),
    "ukrainian": ("Узимку гавань стояла порожня.", "Узимку гавань порожня.", "Дев'ять собак бігли вгору."),
    "german": ("Über dem großen Fluß lag dichter Nebel.", "Über dem Fluß lag Nebel.", "Neun Hunde bellen laut."),
    "vietnamese": ("Bến cảng vắng vẻ suốt mùa đông.", "Bến cảng vắng vẻ.", "Chín con chó chạy."),
    "hindi": ("सर्दियों में बंदरगाह खाली था।", "बंदरगाह खाली था।", "नौ कुत्ते ऊपर दौड़े।"),
    "hebrew": ("הנמל היה ריק כל החורף.", "הנמל היה ריק.", "תשעה כלבים רצו."),
    "persian": ("بندر تمام زمستان خالی بود.", "بندر خالی بود.", "نه سگ دویدند."),
    "chinese": ("整个冬天港口都空无一人。", "港口空无一人。", "九只狗跑上山坡。"),
    "japanese": ("冬の間、港は空っぽだった。", "港は空っぽだった。", "九匹の犬が坂を走る。"),
    "thai": ("ท่าเรือว่างเปล่าตลอดฤดูหนาว", "ท่าเรือว่างเปล่า", "สุนัขเก้าตัววิ่งขึ้นเขา"),
    "korean": ("겨울 내내 항구는 비어 있었다.", "항구는 비어 있었다.", "개 아홉 마리가 달렸다."),
    "georgian": ("ზამთარში ნავსადგური ცარიელი იყო.", "ნავსადგური ცარიელი იყო.", "ცხრა ძაღლი გარბოდა."),
}
WITHOUT_CAPITALS = ("hindi", "hebrew", "persian", "chinese", "japanese", "thai", "korean", "georgian")


@pytest.mark.parametrize("language", SENTENCES)
def test_overlap_of_any_script(language):
    gold, part, other = SENTENCES[language]
    for kind in ("rougeL", "rouge2"):
        assert metrics.rouge(gold, gold)[kind] == 1.0
        assert 0.3 < metrics.rouge(part, gold)[kind] < 1.0
        assert metrics.rouge(other, gold)[kind] < 0.2
    assert metrics.repetition(gold) < 0.1
    assert metrics.repetition(f"{gold} " * 3) > 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a_b Don't 3.5", ["a", "b", "don", "t", "3", "5"]), ("Łódź, naïve", ["łódź", "naïve"]), ("naï\u0308ve nai\u0308ve", ["naï\u0308ve", "naïve"]),
        ("STRASSE straße", ["strasse", "strasse"]), ("हिन्दी में", ["हिन्दी", "में"]), ("桥被 iPhone关", ["桥", "被", "iphone", "关"]),
        ("かさね", ["かさ", "さね"]), ("に", ["に"]), ("ＡＢ１", ["ab1"]), ("می\u200cروم", ["میروم"]), ("👍🏽 !", ["👍", "🏽", "!"]), ("", []), ("...", []),
    ],
)  # fmt: skip
def test_words(text, words):
    assert metrics.words(text) == words


def test_word_count():
    assert [metrics.word_count(text) for text in ("a b-c d.", "桥被关 now", "Łódź płynie", "")] == [3, 4, 2, 0]


def test_names_with_letters_outside_ascii():
    text = "In Łódź met Élodie Önder the mayor. Ärzte kamen."
    assert metrics.entities(text) == ["Łódź", "Élodie Önder"]
    assert metrics.unsupported_entities("Łódź is old", text) == ["Élodie Önder"]


@pytest.mark.parametrize("language", SENTENCES)
def test_names_are_counted_only_where_a_script_has_capitals(language):
    gold, _, other = SENTENCES[language]
    no_score = language in WITHOUT_CAPITALS
    assert (metrics.entity_density(gold) is None) is no_score
    assert (metrics.unsupported_entities(other, gold) is None) is no_score
    scores = Summarization().scores(gold, {"gold": gold, "document": other})
    assert scores["rouge_l"] == 1.0
    assert (scores["density"] is None, scores["unsupported"] is None) == (no_score, no_score)


def chain(*summaries):
    steps = ", ".join(f'{{"missing_entities": "x", "denser_summary": "{summary}"}}' for summary in summaries)
    return f"[{steps}]"


@pytest.mark.parametrize("language", ["ukrainian", "chinese", "thai"])
def test_the_round_of_a_chain_is_chosen_by_overlap_in_any_script(language):
    gold, part, other = SENTENCES[language]
    answered = [({"gold": gold, "document": gold}, chain(other, part, gold, other))]
    calibrated, reason = Summarization().calibrate(answered)
    assert calibrated.round == 3
    assert "1.000" in reason


def test_without_gold_and_capitals_the_last_round_is_used_and_the_reason_said():
    calibrated, reason = Summarization().calibrate([({"gold": None}, chain(*SENTENCES["chinese"], "港口"))])
    assert calibrated.round == ROUNDS
    assert "density has no score" in reason


def test_a_score_that_applies_to_no_answer_is_named():
    task = Summarization()
    gold, part, _ = SENTENCES["chinese"]
    tables = {
        name: [
            prediction(
                i, "answered", gold=gold, answer=part, scores=task.scores(part, {"gold": gold, "document": gold})
            )
            for i in range(4)
        ]
        for name in ("student", "base")
    }
    system = summarize({"base": tables["base"], "student": tables["student"]}, task)["systems"]["student"]
    assert system["without_score"] == ["density", "unsupported"]
    assert "density" not in system["metrics"]
    assert system["metrics"]["rouge_l"]["estimate"] > 0.5


def test_replies_of_signs_have_an_overlap():
    assert parse_task("conversation").scores("👍", {"gold": "👍"})["rouge_l"] == 1.0
