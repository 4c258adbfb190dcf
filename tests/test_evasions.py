"""Refusals and abstentions, in every language whose answer words are known."""

import time

import pytest

from potstill.tasks import Status
from potstill.tasks.registry import parse_task

REFUSALS = [
    "I’m sorry, but I can’t help with that.", "As an AI language model, I cannot summarize this text.",
    "Es tut mir leid, aber ich kann Ihnen bei dieser Anfrage nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.", "Ich kann diese Anfrage leider nicht erfüllen.",
    "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
    "Désolé, je ne peux pas répondre à cette question.", "Je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudarte con eso.", "No puedo cumplir con esa solicitud.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.", "Desculpe, mas não posso ajudar com isso.",
    "Sinto muito, não posso fornecer essa informação.", "Het spijt me, maar ik kan u daar niet mee helpen.",
    "Sorry, daar kan ik niet bij helpen.", "Tyvärr kan jag inte hjälpa till med det.",
    "Jag är ledsen, men jag kan inte svara på det.", "Beklager, men jeg kan ikke hjelpe med det.",
    "Beklager, jeg kan desværre ikke hjælpe med det.", "Valitettavasti en voi auttaa tässä.",
    "Przepraszam, ale nie mogę pomóc w tej sprawie.", "Niestety nie mogę odpowiedzieć na to pytanie.",
    "Omlouvám se, ale s tím nemohu pomoci.", "Sajnálom, de ebben nem tudok segíteni.",
    "Îmi pare rău, dar nu pot să te ajut cu asta.", "Извините, но я не могу помочь с этим запросом.",
    "К сожалению, я не могу выполнить эту просьбу.", "Вибачте, але я не можу допомогти з цим.",
    "Λυπάμαι, αλλά δεν μπορώ να βοηθήσω με αυτό.", "Üzgünüm, bu konuda yardımcı olamam.",
    "Üzgünüm, size bu konuda yardımcı olamıyorum.", "Maaf, saya tidak dapat membantu permintaan itu.",
    "Maaf, saya tidak boleh membantu.", "Paumanhin, hindi ko kayo matutulungan diyan.",
    "Xin lỗi, tôi không thể giúp bạn việc này.", "对不起，我不能回答这个问题。", "很抱歉，我無法提供協助。", "申し訳ありませんが、そのご要望にはお応えできません。",
    "申し訳ございませんが、お手伝いできません。", "죄송하지만 그 요청은 도와드릴 수 없습니다.", "죄송합니다. 해당 질문에는 답변할 수 없습니다.",
    "عذراً، لا أستطيع مساعدتك في هذا الطلب.", "آسف، لا يمكنني المساعدة في ذلك.",
    "متأسفم، نمی‌توانم در این مورد کمک کنم.", "אני מצטער, אבל איני יכול לעזור בזה.",
    "क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।", "দুঃখিত, আমি এতে সাহায্য করতে পারি না।",
    "மன்னிக்கவும், இதில் என்னால் உதவ முடியாது.", "ขออภัย ฉันไม่สามารถช่วยเรื่องนี้ได้",
    "Samahani, siwezi kukusaidia na hilo.", "I apologize, but I cannot assist with that.",
    "I'm sorry for the inconvenience, but I can't help with that request.",
]  # fmt: skip
NO_REFUSALS = [
    "I'm sorry to hear that. When did it break?", "I can't wait to see it!",
    "Es tut mir leid, das zu hören. Wann ist es kaputt gegangen?",
    "Je suis désolé d'apprendre cela. Quand est-ce arrivé ?", "Lo siento mucho por tu pérdida.",
    "很抱歉听到这个消息，您的订单号是多少？", "申し訳ありません。すぐに確認いたします。", "죄송합니다. 주문 번호를 알려 주시겠어요?",
    "Извините за задержку! Ваш заказ уже в пути.", "Ich kann morgen nicht kommen, aber am Freitag.",
    "No puedo esperar a verte.", "Przepraszam za opóźnienie.", "Maaf atas keterlambatan pesanan Anda.",
    "ขออภัยในความล่าช้าค่ะ", "Üzgünüm, siparişiniz gecikmiş.", "我不能同意您的看法，因为……", "I can't help but smile at this.",
    "Mi dispiace per il ritardo.", "Das Paket kam nicht an. Wir schicken ein neues.",
    "Kein Problem, ich helfe gern.", "Я не могу дождаться встречи!",
    "Sorry for the wait! Your refund is on its way.", "Desculpe pelo atraso.",
    "Das Formular kann ich Ihnen gern erklären.", "我可以帮助您。",
]  # fmt: skip
ABSTENTIONS = [
    "There is not enough information.", "I don't know.", "Das lässt sich nicht bestimmen.", "Ich weiß es nicht.",
    "Das weiß ich nicht.", "Je ne sais pas.", "Il n'y a pas assez d'informations.", "No hay suficiente información.",
    "No lo sé.", "Non ci sono abbastanza informazioni.", "Não sei.", "Er is niet genoeg informatie.",
    "Ik weet het niet.", "Jag vet inte.", "Jeg ved det ikke.", "En tiedä.", "Nie wiem.", "Nevím.", "Nem tudom.",
    "Nu știu.", "Я не знаю.", "Недостаточно информации.", "Я не знаю, недостатньо інформації.", "Δεν ξέρω.",
    "Bilmiyorum.", "Saya tidak tahu.", "Hindi ko alam.", "Tôi không biết.", "信息不足，无法确定。", "情報が足りません。", "わかりません。",
    "정보가 부족합니다.", "모르겠습니다.", "لا أعرف.", "نمی‌دانم.", "אני לא יודע.", "मुझे नहीं पता।", "আমি জানি না।",
    "எனக்குத் தெரியாது.", "ไม่ทราบ", "Sijui.",
]  # fmt: skip


def status(task, text, *, strict=False):
    one = parse_task(task)
    return one.parse(text, "stop", dict.fromkeys([*one.columns, "gold"], "") | {"messages": []}, strict=strict).status


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_no_answer_where_any_text_is_one(text):
    for task in ("conversation", "summarization", {"name": "custom", "prompts": {"plain": "{{ q }}"}}):
        assert status(task, text, strict=True) is Status.REFUSED
    assert status("math", text) is Status.REFUSED


@pytest.mark.parametrize("text", NO_REFUSALS)
def test_a_polite_reply_is_no_refusal(text):
    assert status("conversation", text) is Status.OK


@pytest.mark.parametrize("text", ABSTENTIONS)
def test_an_abstention_is_counted_as_one(text):
    for task in ("nli", "math", "multiple_choice"):
        one = parse_task(task)
        example = dict.fromkeys([*one.columns, "gold"], "") | {"options": ["x", "y"]}
        assert one.parse(text, "stop", example, strict=False).status is Status.ABSTAINED


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Ich weiß es nicht, vielleicht neutral", None), ("Die Informationen fehlen. Also neutral.", "neutral"),
        ("Es lässt sich nicht bestimmen. Daher ist die Antwort neutral.", "neutral"), ("无法确定是不是neutral", None),
        ("I don’t know. So it is neutral.", "neutral"),
    ],
)  # fmt: skip
def test_an_answer_after_an_abstention_must_be_a_conclusion(text, answer):
    one = parse_task("nli")
    assert one.parse(text, "stop", dict.fromkeys([*one.columns, "gold"], ""), strict=False).answer == answer


@pytest.mark.parametrize("text", ["I don't know.", "Don’t know", "Answer: don't know"])
def test_a_label_may_be_an_abstention(text):
    one = parse_task({"name": "classification", "labels": ["yes", "no", "don't know"]})
    assert one.parse(text, "stop", {"text": "", "gold": ""}, strict=False).answer == "don't know"


@pytest.mark.parametrize(
    "text", ["nicht kann ich " * 6000, "不无法" * 30_000, "tidak dapat " * 8000, "i can't " * 12_000]
)
def test_searching_refusals_takes_linear_time(text):
    began = time.process_time()
    status("math", text)
    assert time.process_time() - began < 1
