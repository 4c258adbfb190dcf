"""Words by which texts in many languages announce, join and reject answers. All are folded (`potstill.answers.folding`)."""

import re
import unicodedata

ANSWER_WORDS = (
    "answer|réponse|respuesta|antwort|risposta|resposta|antwoord|svar|vastaus|odpowiedź|odpověď|válasz|răspuns|ответ|"
    "відповідь|απάντηση|cevap|yanıt|jawaban|jawapan|sagot|câu trả lời|trả lời|đáp án|答案|答え|回答|정답|답|الإجابة|الجواب|"
    "پاسخ|תשובה|उत्तर|উত্তর|பதில்|คำตอบ|jibu"
)
"""The word that announces an answer, in the languages of the common multilingual benchmarks."""

FINAL_WORDS = (
    "final|correct|right|richtige|endgültige|endgultige|finale|correcte|correcta|corretta|correta|definitiva|definitive|"
    "juiste|uiteindelijke|ostateczna|poprawna|správná|konečná|végső|helyes|corect|corectă|finală|окончательный|правильный|"
    "итоговый|остаточна|правильна|τελική|σωστή|doğru|nihai|akhir|benar|yang benar|cuối cùng|đúng|rätt|slutligt|slutgiltiga|"
    "endelige|endelig|riktig|lopullinen|oikea|النهائية|الصحيحة|النهائي|الصحيح|نهایی|صحیح|הסופית|הנכונה|सही|अंतिम|সঠিক|"
    "சரியான|สุดท้าย|ที่ถูกต้อง|sahihi|最终|最終|正确|正確|最終的な|최종|정확한|올바른"
)
"""Adjectives of the answer word, before or after it."""

LEAD_IN_WORDS = (
    "so|thus|hence|therefore|then|and|that|this|it|which|is|are|gives|get|we|the|my|our|best|"
    "die|der|das|also|daher|somit|folglich|la|le|donc|ainsi|el|entonces|por tanto|quindi|perciò|portanto|logo|het|de|dus|"
    "odpowiedzi|więc|zatem|takže|tedy|tehát|az|deci|итак|значит|следовательно|отже|άρα|η|yani|o halde|jadi|maka|vậy|"
    "do đó|altså|så|siis|joten|إذن|لذلك|بنابراین|לכן|इसलिए|अतः|তাই|எனவே|ดังนั้น|kwa hiyo|所以|因此|那么|故|よって|したがって|따라서|그러므로"
)
"""Words that only lead to an announced answer."""

CLEAR_COPULAS = "is|are|was|ist|est|es|è|é|är|er|jest|adalah|là|是|为|為|は|هو|هي|है"
"""Verbs between the answer word and the answer, those that mean nothing else in a text of another language."""
COPULAS = f"{CLEAR_COPULAS}|be|sind|son|on|to|je|este|ialah|ay|είναι|это|ni|が|은|는|הוא|היא|হল|হলো|คือ"

CLEAR_OR_WORDS = "or|oder|ou|eller|lub|albo|nebo|vagy|или|або|veya|atau|hoặc|或|または|또는|أو|या|หรือ"
"""Those that mean nothing else in a text of another language: Dutch "of" is not one of them."""
OR_WORDS = (
    f"{CLEAR_OR_WORDS}|o|u|of|tai|sau|чи|ή|ya da|o kaya|hay|或者|还是|もしくは|혹은|یا|או|অথবা|বা|அல்லது|au|vs|versus"
)
CLEAR_AND_WORDS = (
    "and|und|et|y|e|og|och|és|și|и|та|і|και|ve|và|和|与|與|及|以及|と|および|및|와|과|그리고|و|ו|और|এবং|மற்றும்|และ"
)
AND_WORDS = f"{CLEAR_AND_WORDS}|en|dan|i|ja|a|й|at|na|plus|as well as|but also|also"
REASON_WORDS = "because|since|denn|weil|car|parce que|porque|perché|omdat|ponieważ|потому что"
NONE_WORDS = (
    "none|neither|nothing|n/a|no (?:label|labels|class|category)|keine?[sr]?|nichts|aucune?|rien|ningun[oa]|ningún|nessun[oa]?|"
    "nenhum[oa]?|geen|inga?|ingen|żaden|žádn[ýáé]|нет|ничего|никакой|无|無|没有|なし|없음"
)
"""Answers that no label fits: regular expressions of folded words."""

NEGATIONS = (
    r"not|cannot|\w{2,6}n't|no|nor|neither|never|none|nothing|nobody|hardly|barely|scarcely|without|far from|rather than|instead of|"
    r"anything but|lacks?|fails? to|isnt|doesnt|wasnt|dont|rules? out|ruled out|excludes?|(?:wrong|incorrect|inaccurate|false|unfair) to|"
    r"nicht|kein\w{0,2}|weder|nie|niemals|ohne|statt|nichts|pas|ni|jamais|aucune?|sans|plutôt que|nunca|sin|ningún|ninguna?|"
    r"ninguno|tampoco|non|né|mai|nessun\w?|senza|não|nem|sem|nenhuma?|niet|geen|nooit|zonder|inte|ingen|inget|ikke|varken|"
    r"hverken|uten|uden|utan|aldrig|aldri|ei|eivät|eikä|nie|ani|bez|żaden|żadna|ne|není|nikoli|žádn\w|nem|nu|nici|fără|"
    r"не|нет|ни|без|нельзя|никогда|ні|немає|δεν|μην|όχι|ούτε|χωρίς|tidak|bukan|tanpa|hindi|walang|không|chẳng|chưa|"
    r"ليس|ليست|لا|غير|لم|لن|نه|غیر|לא|אינו|אינה|אין|בלי|नहीं|न|না|ไม่|มิใช่|sio|siyo|hapana|bila"
)
"""Words that reject what follows them in their clause: regular expressions of folded words."""
NEGATIONS_UNSPACED = "不|没|沒|非|无|無|未|别|并非|並非|ไม่|มิใช่"
"""Those of scripts without spaces, right before what they reject."""
NOT_NEGATIONS = (
    "no doubt|without (?:a |any )?doubt|no question|without question|not only|not just|not merely|nothing but|none other than|"
    "no less than|nicht nur|ohne zweifel|zweifellos|pas seulement|non seulement|sans (?:aucun )?doute|no solo|no sólo|sin duda|"
    "non solo|senza dubbio|não só|sem dúvida|niet alleen|zonder twijfel|nie tylko|bez wątpienia|не только|без сомнения|不仅|不只"
)
"""Phrases with such a word that reject nothing."""
DOUBTS = (
    "whether|if|unless|either|could|might|may|maybe|perhaps|possibly|unsure|ob|falls|vielleicht|könnte|peut-être|pourrait|"
    "quizás?|tal vez|podría|forse|potrebbe|talvez|misschien|kanske|kanskje|måske|może|możliwe|možná|talán|poate|возможно|"
    "может быть|можливо|ίσως|belki|mungkin|có thể|ربما|شاید|אולי|शायद"
)
"""Words by which a clause leaves open what it says."""
REJECTED_AFTER = (
    r"(?:is|are|was|were|be|would|can|could|does|do|did|should|will|seems?)(?: \w{1,12}ly)?(?: be)?(?:n't| not| never| neither)|"
    r"(?:is|are|was|would be|seems|can be|must be|is therefore)(?: \w{1,12}ly)? (?:ruled out|wrong|incorrect|false|unlikely|excluded|out of|impossible)|"
    r"(?:ist|sind|war|wäre|trifft|passt|kann|kommt)(?: \w{1,12})? (?:nicht|falsch|ausgeschlossen)|"
    r"(?:n'est|ne) |(?:est|serait) (?:faux|fausse|exclue?)|no (?:es|era|sería|son)|non (?:è|era)|não (?:é|era)|is niet|är inte|er ikke|"
    r"nie jest|není|не |nu este|nem |değil|bukan|không|"
    r"(?:是|これは|は|が|も)?(?:不对|不正确|不是|不成立|错|错误|不對|錯)|(?:的)?(?:では|で|じゃ)(?:あり|ない|なく)|(?:이|가)? ?(?:아니|아닙)|하지 않|"
    r"नहीं|নয়|না\b|அல்ல|இல்லை|نیست|ليس"
)
"""What rejects the words before it: "A is wrong"."""


def pattern(words: str) -> str:
    """A regular expression of any of these words, as a separate word in scripts that have spaces."""
    spaced: list[str] = []
    unspaced: list[str] = []
    for word in words.split("|"):
        (unspaced if is_unspaced(word) else spaced).append(word)
    parts = [rf"(?<!\w)(?:{'|'.join(spaced)})(?!\w)"] if spaced else []
    return f"(?:{'|'.join([*parts, *unspaced])})"


def is_unspaced(text: str) -> bool:
    """Whether a text is nothing but letters of a script that puts no spaces between words."""
    return _UNSPACED.fullmatch(text) is not None


def spellings(words: str) -> tuple[str, ...]:
    """The words in composed and decomposed letters, in lower case, the longest first."""
    both = {unicodedata.normalize(form, word) for word in words.casefold().split("|") for form in ("NFC", "NFD")}
    return tuple(sorted(both | {word.replace("ı", "i") for word in both}, key=len, reverse=True))


_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]+")
