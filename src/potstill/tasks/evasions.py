"""How refusals and abstentions are worded, in the languages of `answers.languages.ANSWER_WORDS`.

Phrases are regular expressions of folded texts. Each language has words of apology, phrases that decline, phrases that abstain,
and a word of its phrases, without which they are not searched.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from potstill.answers.folding import fold

MAX_OPENING_CHARACTERS = 400
_FEW = r"(?:\w{1,30} ){0,4}?"
_GAP = r"[^.!?。！？।]{0,60}?"


@dataclass(frozen=True)
class _Language:
    words: str
    """Separated by bars; each of its phrases has one of these."""
    apology: str
    declines: str
    abstains: str
    lead: str = r"[^.!?。！？।,]{0,30}?"
    """What may stand before a phrase that declines, at the beginning of a refusal without apology."""


_LANGUAGES = (
    _Language(
        "can't|cannot|can not|won't|i'm|i am|enough|determined|don't",
        r"i'?m (?:very |really |so |truly )?(?:sorry|afraid)|i am (?:very |really |so |truly )?(?:sorry|afraid)|sorry|unfortunately|"
        r"as an ai\b[^.]{0,60}?|i apologi[sz]e",
        r"(?:i (?:can't|cannot|can not|won't|am unable to|am not able to)|i'm (?:unable|not able) to) (?:\w{1,20} )?(?:assist|help(?! but| feel)|"
        r"provide|comply|fulfil+|summari[sz]e|create|generate|answer|continue|discuss|write|engage|do that)\b",
        r"\b(?:not enough information|insufficient information|can(?:not|'t| not) be determined|i don't know)\b",
        lead="",
    ),
    _Language(
        "nicht|ungenügend|unzureichend",
        "(?:es )?tut mir (?:sehr |wirklich )?leid|entschuldigung|entschuldige|verzeihung|leider|sorry|als ki\\b[^.]{0,60}?|bedaure",
        rf"(?:kann|darf|werde) ich {_FEW}nicht {_FEW}(?:weiter)?(?:helfen|beantworten|erfüllen|unterstützen|nachkommen|bereitstellen|erstellen|"
        rf"schreiben|ausführen|anbieten|entsprechen|behilflich)\b|ich (?:kann|darf|werde) {_FEW}nicht {_FEW}(?:weiter)?(?:helfen|beantworten|"
        r"erfüllen|unterstützen|nachkommen|bereitstellen|erstellen|schreiben|ausführen|anbieten|entsprechen|behilflich)\b|(?:ich bin|bin ich) "
        r"(?:leider )?nicht in der lage",
        r"nicht (?:genug|genügend|ausreichend\w{0,2}) informationen|unzureichende informationen|lässt sich nicht (?:bestimmen|feststellen|sagen|"
        r"entscheiden)|kann nicht (?:bestimmt|festgestellt|beantwortet|entschieden) werden|\bich weiß (?:es )?nicht\b|\bweiß ich nicht\b",
    ),
    _Language(
        "peux|suis|saurais|assez|insuffisant|détermin|sais pas",
        r"(?:je suis |je me sens )?(?:vraiment |sincèrement )?désolée?|pardon|excusez-moi|malheureusement|je regrette|je m'excuse|en tant qu'ia\b[^.]{0,60}?",
        rf"je (?:ne peux|ne suis|ne saurais)(?: malheureusement)?(?: pas)?(?: en mesure de| capable de| autorisée? à)? {_FEW}(?:t'|vous |te |l')?"
        r"(?:aider|répondre|fournir|assister|satisfaire|accéder|créer|générer|écrire|rédiger|traiter|accomplir|faire cela)\b",
        r"pas assez d'informations?|informations? insuffisantes?|ne peut (?:pas )?être déterminée?|impossible (?:de|à) déterminer|\bje ne sais pas\b",
    ),
    _Language(
        "no puedo|suficiente|determinar|no sé|no lo sé|capaz|posible",
        r"lo siento(?: mucho)?|lamento|lamentablemente|perdón|perdona|disculpa|disculpe|desafortunadamente",
        rf"no (?:puedo|soy capaz de|me es posible) {_FEW}(?:ayudar\w{{0,3}}|responder\w{{0,2}}|proporcionar\w{{0,2}}|cumplir|asistir\w{{0,3}}|atender|generar|crear|"
        r"escribir|hacer eso|hacerlo|brindar\w{0,2})\b",
        r"no hay (?:suficiente información|información suficiente)|información insuficiente|no se puede determinar|no puede determinarse|"
        r"no es posible determinar|\bno lo sé\b|\byo no sé\b",
    ),
    _Language(
        "non posso|non sono|informazioni|determin|non so|non lo so",
        r"mi (?:dispiace|spiace)(?: molto)?|spiacente|purtroppo|scusa|scusami|chiedo scusa",
        rf"non (?:posso|sono in grado di) {_FEW}(?:aiutar\w{{0,3}}|rispondere|fornir\w{{1,3}}|assister\w{{1,3}}|soddisfare|generare|creare|scrivere|farlo)\b",
        r"non ci sono (?:abbastanza informazioni|informazioni sufficienti)|informazioni (?:insufficienti|non sufficienti)|non può essere determinat[oa]|"
        r"non è possibile determinare|non si può determinare|\b(?:io )?non lo so\b|\bio non so\b",
    ),
    _Language(
        "não",
        "desculpe|desculpa|peço desculpas?|sinto muito|lamento|infelizmente",
        rf"não (?:posso|consigo|sou capaz de|me é possível) {_FEW}(?:te |lhe )?(?:ajud\w{{1,4}}(?:-l[oa]s?)?|responder|fornecer|atender|auxiliar|gerar|criar|escrever|"
        r"cumprir|fazer isso)\b",
        r"não há informaç(?:ão|ões) suficientes?|não é possível determinar|não pode ser determinad[oa]|\b(?:eu )?não sei\b|não tenho informações",
    ),
    _Language(
        "niet|onvoldoende",
        "het spijt me|sorry|helaas|excuses|mijn excuses",
        rf"(?:kan|mag) ik {_FEW}niet {_FEW}(?:helpen|beantwoorden|voldoen|bieden|geven|uitvoeren|schrijven|maken)\b|ik (?:kan|mag) {_FEW}niet {_FEW}"
        r"(?:helpen|beantwoorden|voldoen|bieden|geven|uitvoeren|schrijven|maken)\b|ik ben niet in staat",
        r"niet genoeg informatie|onvoldoende informatie|kan niet (?:worden )?(?:bepaald|vastgesteld)|\b(?:ik )?weet (?:ik )?het niet\b",
    ),
    _Language(
        "inte|ikke|otillräcklig|utilstrækkelig",
        "tyvärr|förlåt|jag är ledsen|ursäkta|beklager|jeg beklager|dessverre|desværre|undskyld|unnskyld|jeg er lei meg",
        rf"(?:kan|får) (?:jag|jeg) {_FEW}(?:inte|ikke) {_FEW}(?:hjälpa|hjelpe|hjælpe|svara|svare|besvara|besvare|tillhandahålla|uppfylla|oppfylle|opfylde)\b|"
        rf"(?:jag|jeg) (?:kan|får) {_FEW}(?:inte|ikke) {_FEW}(?:hjälpa|hjelpe|hjælpe|svara|svare|besvara|besvare|tillhandahålla|uppfylla|oppfylle|opfylde)\b",
        r"inte tillräckligt (?:med )?information|otillräcklig information|kan inte (?:avgöras|fastställas|bestämmas)|\b(?:jag vet|vet jag) (?:det )?inte\b|"
        r"ikke (?:nok|tilstrekkelig) (?:informasjon|information)|kan ikke (?:avgjøres|bestemmes|afgøres|fastslås)|\bjeg (?:vet|ved) (?:det )?ikke\b",
    ),
    _Language(
        "en voi|en pysty|en tiedä|tieto|ei voi",
        "valitettavasti|anteeksi|olen pahoillani|pahoittelen",
        rf"en (?:voi|pysty) {_FEW}(?:auttaa|vastata|tarjota|auttamaan|vastaamaan|tarjoamaan|täyttää)\b",
        r"ei (?:ole )?tarpeeksi tieto\w{0,4}|ei voi(?:da)? (?:määrittää|päätellä)|\ben tiedä\b",
    ),
    _Language(
        "nie |informacji",
        "przepraszam|przykro mi|bardzo mi przykro|niestety|wybacz",
        rf"nie (?:mogę|jestem w stanie|potrafię) {_FEW}(?:pomóc|odpowiedzieć|udzielić|spełnić|dostarczyć|zrealizować|stworzyć|napisać)\b",
        r"(?:za mało|niewystarczając\w{1,4}|brak wystarczających) informacji|nie (?:można|da się) (?:określić|ustalić|stwierdzić)|\bnie wiem\b",
    ),
    _Language(
        "nemohu|nemůžu|nejsem|nelze|nevím|informac",
        "omlouvám se|je mi líto|bohužel|promiňte|lituji",
        rf"(?:nemohu|nemůžu|nejsem schopen|nejsem schopna) {_FEW}(?:pomoci|pomoct|odpovědět|poskytnout|vyhovět|splnit|vytvořit)\b",
        r"(?:nedostatek|nedostatečné) informac\w{1,3}|nelze (?:určit|rozhodnout|stanovit)|\bnevím\b",
    ),
    _Language(
        "nem |nincs",
        "sajnálom|sajnos|elnézést|bocsánat",
        r"nem (?:tudok|tudom|áll módomban|segíthetek)(?: \w{1,30}){0,4}? ?(?:segíteni|válaszolni|megválaszolni|teljesíteni|segíthetek)?",
        r"nincs (?:elég|elegendő) információ|nem (?:állapítható|határozható|dönthető) (?:meg|el)|\bnem tudom\b",
    ),
    _Language(
        "nu |informații insuficiente",
        "îmi pare rău|din păcate|scuze|scuzați",
        rf"nu (?:pot|sunt în măsură)(?: să)? {_FEW}(?:ajut\w{{0,3}}|răspun\w{{1,3}}|ofer\w{{0,2}}|furniz\w{{1,4}}|îndeplin\w{{1,4}})\b",
        r"nu (?:sunt|există) suficiente informații|informații insuficiente|nu (?:se )?poate (?:fi )?determinat?\b|\b(?:eu )?nu știu\b",
    ),
    _Language(
        "не |недостаточно|невозможно",
        "извините|извини|простите|прости|к сожалению|сожалею|прошу прощения|мне (?:очень )?жаль",
        rf"не (?:могу|смогу|в состоянии|имею возможности) {_FEW}(?:помочь|ответить|предоставить|выполнить|создать|написать|обсуждать|помогать|удовлетворить|отвечать|"
        r"обсудить)\b",
        r"недостаточно (?:информации|данных)|(?:невозможно|нельзя) (?:определить|установить)|\bя не знаю\b|не хватает (?:информации|данных)",
    ),
    _Language(
        "не |недостатньо|неможливо",
        "вибачте|вибач|на жаль|перепрошую|мені (?:дуже )?шкода",
        rf"не (?:можу|зможу|в змозі) {_FEW}(?:допомогти|відповісти|надати|виконати|створити|написати|обговорювати)\b",
        r"недостатньо (?:інформації|даних)|(?:неможливо|не можна) (?:визначити|встановити)|\bя не знаю\b",
    ),
    _Language(
        "δεν|ανεπαρκείς",
        "λυπάμαι|συγγνώμη|δυστυχώς|με συγχωρείτε",
        rf"δεν (?:μπορώ|είμαι σε θέση) (?:να )?{_FEW}(?:βοηθήσω|απαντήσω|παρέχω|παράσχω|εκπληρώσω|δημιουργήσω|γράψω)\b",
        r"δεν υπάρχουν αρκετές πληροφορίες|ανεπαρκείς πληροφορίες|δεν μπορεί να (?:προσδιοριστεί|καθοριστεί)|\bδεν (?:το )?(?:ξέρω|γνωρίζω)\b",
    ),
    _Language(
        "yardim|cevaplaya|yanıtlaya|getirem|sağlaya|yeterli|belirlen|bilmiyorum",
        "üzgünüm|özür dilerim|maalesef|ne yazık ki|kusura bakmayın",
        r"(?:yardımcı olam|yardım edem|cevaplayam|yanıtlayam|yerine getirem|sağlayam|cevap verem|yanıt verem)"
        r"(?:am|em|ıyorum|iyorum|ayacağım|eyeceğim)\b",
        r"yeterli bilgi (?:yok|bulunmuyor|verilmemiş|mevcut değil)|belirlenem(?:ez|iyor)|\bbilmiyorum\b",
    ),
    _Language(
        "tidak|kurang|maklumat",
        "(?:mohon )?maaf|saya minta maaf|sayangnya|malangnya",
        rf"tidak (?:dapat|bisa|boleh|mampu) {_FEW}(?:membantu|menjawab|memberikan|memenuhi|menyediakan|membuat|menulis)\b",
        r"(?:tidak ada|tidak) (?:cukup )?(?:informasi|maklumat)|kurang informasi|tidak (?:dapat|bisa) ditentukan|\b(?:saya|aku) tidak tahu\b",
    ),
    _Language(
        "hindi|walang|kulang",
        "paumanhin|pasensya na|ikinalulungkot ko|sorry",
        rf"hindi (?:ko|ako|kita) {_FEW}(?:makakatulong|matutulungan|masasagot|maibibigay|makapagbigay|makasasagot)\b",
        r"(?:hindi|walang) sapat na impormasyon|kulang ang impormasyon|hindi matukoy|\bhindi ko alam\b",
    ),
    _Language(
        "không",
        "(?:tôi )?(?:rất )?(?:xin lỗi|tiếc)|thành thật xin lỗi|rất tiếc",
        rf"không (?:thể|được phép|có khả năng) {_FEW}(?:giúp|hỗ trợ|trả lời|cung cấp|đáp ứng|thực hiện|viết|tạo)\b",
        r"không (?:có )?đủ thông tin|không thể xác định|\b(?:tôi )?không biết\b",
    ),
    _Language(
        "无法|無法|不能|没办法|不便|不足|没有足够|沒有足夠|不知道|不清楚",
        "(?:非常|很|十分)?(?:抱歉|遗憾|遺憾)|对不起|對不起|不好意思|作为一个?(?:ai|人工智能)[^。]{0,30}?",
        r"(?:无法|無法|不能|没办法|沒辦法|不便|不可以)[^。！？,]{0,12}?(?:协助|帮助|回答|提供|满足|完成|協助|幫助|滿足|处理|處理|继续|生成|讨论|帮您|帮你|幫您|幫你|答复)",
        r"信息不足|資訊不足|(?:没有|沒有)(?:足够|足夠)的?(?:信息|資訊)|(?:无法|無法|不能)(?:确定|確定|判断|判斷)|我不知道|我不清楚",
    ),
    _Language(
        "ません|ない|かね|情報が|不足",
        "(?:大変|誠に)?(?:申し訳|すみません|ごめんなさい|残念ながら|恐れ入り)",
        r"(?:お手伝い|お答え|回答|対応|協力|提供|支援|お応え|ご要望に|手伝|お助け)[^。！？]{0,16}?(?:できません|できかねます|いたしかねます|致しかねます|出来ません|ません)",
        r"情報が(?:足りません|足りない|不足)|十分な情報が(?:ない|ありません)|(?:判断|特定|決定)(?:でき|出来)(?:ません|ない)|(?:わか|分か)(?:りません|らない)",
    ),
    _Language(
        "없|부족|않|못합|어렵|모르",
        "(?:정말 |대단히 )?(?:죄송|미안|유감)|안타깝게도",
        r"(?:도와|도움을|답변|제공|응답|처리|답해|대답|수행|지원|도와드)[^.!?]{0,14}?(?:수(?:가)? 없|어렵습니다|못합니다)",
        r"정보가 (?:부족|충분하지 않)|(?:판단|결정|확인|알)(?:할)? 수(?:가)? 없|모르겠",
    ),
    _Language(
        "لا |لن |لست|غير كافية",
        "آسفة?|أنا آسفة?|أعتذر|عذر[اً]{1,2}|للأسف|معذرة",
        rf"(?:لا (?:أستطيع|يمكنني)|لن أتمكن من|لست قادر\w{{0,2}} على) {_FEW}(?:مساعد\w{{0,4}}|الإجابة|تقديم|تلبية|المساعدة|أن أساعد\w{{0,2}}|توفير|كتابة|إنشاء)",
        r"لا توجد معلومات كافية|المعلومات غير كافية|لا يمكن (?:تحديد|الجزم|معرفة)|لا (?:أعرف|أعلم)",
    ),
    _Language(
        "نمی|نیست|وجود ندارد",
        "متاسفم|متأسفم|متاسفانه|متأسفانه|ببخشید|عذر می",
        r"(?:کمک|پاسخ|ارائه|انجام)[^.!؟]{0,30}?(?:نمی ?توانم|قادر نیستم)|نمی ?توانم (?:\w{1,30} ){0,5}?(?:کمک|پاسخ|ارائه|انجام)",
        r"اطلاعات کافی (?:نیست|وجود ندارد)|قابل تعیین نیست|نمی ?دانم",
    ),
    _Language(
        "לא |איני|אין ",
        "אני מצטערת?|מצטערת?|סליחה|לצערי",
        rf"(?:לא יכולה?|איני יכולה?|לא אוכל|אין באפשרותי) {_FEW}(?:לעזור|לסייע|לענות|לספק|לכתוב|ליצור)",
        r"אין מספיק מידע|לא ניתן לקבוע|(?:אני לא|איני) יודעת?",
    ),
    _Language(
        "नहीं|असमर्थ",
        "मुझे (?:खेद|अफ़सोस|अफसोस) है|क्षमा करें|माफ़ करें|माफ करें|माफ़ कीजिए|खेद है",
        r"(?:मदद|सहायता|उत्तर|जवाब|प्रदान|पूरा)[^।.!?]{0,24}?(?:नहीं (?:कर|दे) (?:सकता|सकती|सकते|पाऊंगा|पाऊँगा)|असमर्थ)",
        r"पर्याप्त जानकारी नहीं|निर्धारित नहीं किया जा सकता|(?:मुझे )?नहीं पता|पता नहीं|नहीं जानता",
    ),
    _Language(
        "পারি না|পারছি না|পারব না|নেই|জানি না|যায় না|সম্ভব নয়",
        "(?:আমি )?দুঃখিত|ক্ষমা করবেন",
        r"(?:সাহায্য|সহায়তা|উত্তর|প্রদান)[^।]{0,24}?(?:পারি না|পারছি না|পারব না)",
        r"পর্যাপ্ত তথ্য নেই|নির্ধারণ করা (?:যায় না|সম্ভব নয়)|জানি না",
    ),
    _Language(
        "முடியாது|இயலாது|முடியவில்லை|இல்லை|தெரியாது|தெரியவில்லை",
        "மன்னிக்கவும்|வருந்துகிறேன்|மன்னியுங்கள்",
        r"(?:உதவ|பதிலளிக்க|வழங்க|பதில் அளிக்க)[^.]{0,16}?(?:முடியாது|இயலாது|முடியவில்லை)",
        r"போதுமான தகவல்(?:கள்)? இல்லை|தீர்மானிக்க முடியாது|தெரியாது|தெரியவில்லை",
    ),
    _Language(
        "ไม่",
        "(?:ฉัน|ผม|ดิฉัน)?(?:ต้อง)?(?:ขอโทษ|ขออภัย|เสียใจ)",
        r"ไม่(?:สามารถ|อาจ)[^.]{0,12}?(?:ช่วย|ตอบ|ให้ข้อมูล|ให้ความช่วยเหลือ|ดำเนินการ|สร้าง|เขียน)",
        r"ข้อมูลไม่เพียงพอ|ไม่มีข้อมูลเพียงพอ|ไม่สามารถ(?:ระบุ|สรุป|ตัดสิน|กำหนด)ได้|ไม่ทราบ|ไม่รู้",
    ),
    _Language(
        "siwezi|sitaweza|hakuna|hazitoshi|haiwezi|sijui",
        "samahani|pole|kwa bahati mbaya|naomba radhi",
        rf"(?:siwezi|sitaweza) {_FEW}(?:kusaidia|kukusaidia|kujibu|kutoa|kuandika)\b",
        r"hakuna (?:taarifa|habari) za kutosha|taarifa hazitoshi|haiwezi kubainishwa|\bsijui\b",
    ),
)  # fmt: skip
_BUT = (
    "but|aber|jedoch|mais|pero|ma|però|mas|porém|maar|men|mutta|ale|de|dar|но|але|αλλά|ama|fakat|tetapi|tapi|namun|nhưng|但是?|"
    "しかし|하지만|لكن|ولكن|اما|אבל|लेकिन|परंतु|কিন্তু|ஆனால்|แต่|lakini"
)


@dataclass(frozen=True)
class _Patterns:
    words: tuple[str, ...]
    opening: re.Pattern[str]
    declines: re.Pattern[str]
    abstains: re.Pattern[str]


@lru_cache(maxsize=1)
def _patterns() -> tuple[_Patterns, ...]:
    return tuple(
        _Patterns(
            tuple(fold(word) for word in one.words.split("|")),
            _compiled(
                rf"\W{{0,5}}(?:(?:{one.apology})\w{{0,8}}[,.;:!。， ]{{0,3}}{_GAP}|{one.lead})(?:(?:{_BUT}) ?)?(?:{one.declines})"
            ),
            _compiled(one.declines),
            _compiled(one.abstains),
        )
        for one in _LANGUAGES
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    # Folded like the texts; classes in capitals would change, and there is only \\W.
    return re.compile(
        "\\W".join(unicodedata.normalize("NFC", part.casefold()).replace("ı", "i") for part in pattern.split("\\W"))
    )


def opens_with_refusal(text: str) -> bool:
    """Whether a text begins by refusing the request: with an apology or not, and a phrase that declines to help."""
    folded = fold(text[:MAX_OPENING_CHARACTERS])
    return any(one.opening.match(folded) for one in _patterns() if _has_any(folded, one.words))


def declined(folded: str) -> tuple[int, int] | None:
    """Where a folded text first declines to help."""
    matches = (one.declines.search(folded) for one in _patterns() if _has_any(folded, one.words))
    return min((match.span() for match in matches if match), default=None)


def abstained(folded: str) -> tuple[int, int] | None:
    """Where a folded text first says that it does not know."""
    matches = (one.abstains.search(folded) for one in _patterns() if _has_any(folded, one.words))
    return min((match.span() for match in matches if match), default=None)


def _has_any(folded: str, words: tuple[str, ...]) -> bool:
    return any(word in folded for word in words)
