"""Texts that name labels, and the label that each gives as its answer, by labels."""

WORDS = [
    (["positive", "negative", "neutral"], [
        ("Answer: positive, because nothing is negative", "positive"), ("Answer: positive / neutral", None),
        ("Answer: positive/neutral", None), ("Answer: neutral-positive", None), ("Answer: positive-leaning", None),
        ("Answer: either positive or neutral", None), ("Answer: between positive and neutral", None),
        ("Answer: positive to neutral", None), ("Answer: positive (or neutral)", None),
        ("Answer: positive, not neutral", "positive"), ("Answer: positive rather than neutral", "positive"),
        ("Answer: not positive", None), ("Answer: not negative, positive", None),
        ("Answer: positive and negative", None), ("Answer: positive, negative", None), ("Answer: both", None),
        ("The answer is positive.", "positive"), ("#### negative", "negative"),
        ("Nothing is negative here. The sentiment is positive.", "positive"),
        ("The answer is positive or neutral.", None), ("It could be positive or negative.", None),
        ("It has positive and negative parts.\nSo overall: positive", "positive"), ("positive\nnegative", None),
        ("It praises the food and has no negative words.\n\nPositive", "positive"),
        ("Neutral: it only states facts, neither positive nor negative.", "neutral"),
        ("I would classify this review as negative, even though it starts in a positive way.", "negative"),
        ("The review is not negative.", None), ("Positive is not the case.", None),
        ("Is it positive? I think it is negative.", "negative"), ("positively charming", None),
        ("Sentiment: **Positive**", "positive"), ("**Label:** Negative", "negative"),
        ("The review mentions good food. Therefore, the correct label is \"positive\".", "positive"),
        ("**Positive**\n\nThe writer is happy, nothing negative.", "positive"), ("- positive", "positive"),
        ("1. positive\n2. negative", None),
    ]),
    (["toxic", "fine"], [
        ("The comment isn't toxic.", None), ("The comment is neither rude nor toxic. It is fine.", "fine"),
        ("I don't think this is toxic.", None), ("This comment is toxic, no doubt.", "toxic"),
        ("No doubt this is toxic.", "toxic"), ("No, this is toxic.", "toxic"), ("It is non-toxic.", None),
        ("Toxic? No.", None), ("It is not only rude but toxic.", "toxic"), ("Hardly toxic.", None),
        ("It would be wrong to call it toxic.", None), ("Toxic would be wrong.", None),
        ("It is far from toxic.", None), ("Not toxic", None), ("If it were toxic, it would be removed.", None),
        ("Das ist nicht toxic.", None),
    ]),
    (["toxic", "not toxic"], [
        ("So it is not toxic.", "not toxic"), ("It isn't toxic.", "not toxic"), ("Not toxic.", "not toxic"),
        ("Answer: Not toxic", "not toxic"), ("It is not really toxic.", "not toxic"), ("toxic", "toxic"),
        ("Answer: toxic or not toxic", None), ("It is toxic.", "toxic"),
    ]),
    (["spam", "not spam"], [
        ("The message is clearly not spam.", "not spam"),
    ]),
    (["spam", "ham"], [
        ("The message is clearly not spam.", None), ("The message is clearly not spam but ham.", "ham"),
    ]),
    (["C", "Python"], [
        ("Answer: C++", None),
    ]),
    (["yes", "no"], [
        ("Yes, there is no doubt.", "yes"), ("No.", "no"), ("There is no sign of it.", None), ("yes and no", None),
        ("Answer: yes or no", None), ("The answer is no.", "no"), ("I'd say no.", "no"),
        ("No, not at all, yes would be wrong.", "no"), ("Answer: No. Yes would need proof.", "no"),
        ("Yes, but no.", None),
    ]),
    (["entailment", "not_entailment"], [
        ("Answer: not entailment", "not_entailment"), ("Answer: Not Entailment.", "not_entailment"),
        ("It is entailment", "entailment"), ("This is not an entailment.", "not_entailment"),
    ]),
    (["food_quality", "price"], [
        ("It is about food quality.", "food_quality"),
    ]),
    (["follow-up", "new"], [
        ("Answer: follow up", "follow-up"),
    ]),
    (["follow up", "new"], [
        ("Answer: Follow-Up", "follow up"),
    ]),
    (["Don't know", "Yes", "No"], [
        ("I don’t know.", "Don't know"),
    ]),
    (["olumlu", "olumsuz"], [
        ("Bu yorum olumlu değil.", None), ("YANIT: Olumlu", "olumlu"),
    ]),
    (["positive", "negative"], [
        ("答案：positive。", "positive"),
    ]),
]  # fmt: skip

SIGNS = [
    (["-1", "0", "1"], [
        ("-1", "-1"), ("Answer: (-1)", "-1"), ("Answer: minus 1", "-1"), ("Answer: 1.0", "1"), ("Answer: –1", "-1"),
        ("Answer: -1, negative", "-1"), ("Answer: 0 or 1", None), ("Answer: 0/1", None), ("Answer: **-1**", "-1"),
        ("\\boxed{-1}", "-1"), ("$-1$", "-1"), ("The score is -1", "-1"), ("Answer: -0.5", None),
        ("Answer: -2", None), ("Answer: 1-", None), ("Answer: negative 1", "-1"), ("Answer: +1.", "1"),
    ]),
    (["0", "1"], [
        ("Answer: -1", None), ("Answer: 0,9", None), ("Answer: .9", None), ("Answer: 1%", None),
        ("Answer: 10", None), ("Answer: 1/2", None), ("probability 0.1", None),
    ]),
    (["1", "2", "3", "4", "5"], [
        ("Answer: 3-4", None), ("Answer: 3–4", None), ("Answer: 3 to 4", None), ("Answer: 4,5", None),
        ("Answer: 4 stars", "4"), ("Answer: 4 stars out of 5", "4"), ("Answer: 8/10", None),
        ("Answer: 4 (out of 5)", "4"), ("On a scale from 1 to 5, I would give it a 2.", "2"), ("Rating: 4/5", "4"),
        ("There are 3 reasons to like it.", None), ("1. The food is good.\n2. The service is bad.", None),
        ("I'd rate it 4.5 out of 5.", None), ("Answer: 4½", None), ("Answer: 5 out of 10", None),
        ("Answer: 4.", "4"), ("Answer: between 3 and 4", None), ("4 von 5 Sternen", "4"), ("Answer: 4+", None),
        ("I would give it 4 stars.", "4"), ("Answer: 6", None), ("Answer: 2024", None), ("Score: 3", "3"),
        ("Answer: 3.0/5", "3"), ("**Rating: 2**", "2"),
    ]),
    (["A", "A-", "B+", "B", "C"], [
        ("Answer: A-", "A-"), ("Answer: A−", "A-"), ("Answer: A", "A"), ("Answer: A+", None), ("Answer: B+.", "B+"),
        ("Answer: B+, good work", "B+"), ("Answer: B-", None), ("Grade: A-", "A-"),
        ("I would give it a B+ for effort.", "B+"), ("Answer: A- or B+", None), ("Answer: A/B", None),
        ("A good paper.", None), ("**A-**", "A-"),
    ]),
    (["A", "B"], [
        ("Answer: A-", None),
    ]),
    (["C", "C++", "C#"], [
        ("Answer: C++", "C++"),
    ]),
    (["C", "C#"], [
        ("Answer: C#", "C#"),
    ]),
    (["AA", "AA-"], [
        ("Answer: AA+", None),
    ]),
    (["a b", "c"], [
        ("Answer: a\u00a0b", "a b"),
    ]),
]  # fmt: skip

LANGUAGES = [
    (["İade", "Değişim"], [
        ("Answer: iade", "İade"), ("Yanıt: İADE", "İade"),
    ]),
    (["müll", "papier"], [
        ("Antwort: MU\u0308LL", "müll"),
    ]),
    (["straße", "weg"], [
        ("Antwort: STRASSE", "straße"),
    ]),
    (["co\u00adoperate", "x y"], [
        ("Answer: cooperate", "co\u00adoperate"),
    ]),
    (["don“t", "x"], [
        ("Answer: don\"t", "don“t"),
    ]),
    (["¿qué?", "no"], [
        ("Answer: ¿qué?", "¿qué?"),
    ]),
    (["正面", "负面"], [
        ("这条评论不是正面的", None), ("答案：正面", "正面"), ("答案是负面。", "负面"), ("答案：正面或负面", None), ("情感：正面", "正面"),
        ("既不正面也不负面", None),
    ]),
    (["是", "否"], [
        ("答案：是", "是"), ("答案：否。", "否"), ("这是关于产品的评论", None),
    ]),
    (["긍정", "부정"], [
        ("정답: 긍정", "긍정"), ("이 리뷰는 긍정적입니다.", "긍정"),
    ]),
    (["肯定的", "否定的"], [
        ("このレビューは肯定的です。", "肯定的"), ("このレビューは肯定的ではありません。", None),
    ]),
    (["positiv", "negativ"], [
        ("Der Text ist nicht positiv.", None), ("Die Antwort ist positiv.", "positiv"),
    ]),
    (["oui", "non"], [
        ("La réponse est non.", "non"),
    ]),
    (["позитивный", "негативный"], [
        ("Ответ: позитивный, не негативный", "позитивный"), ("Отзыв не позитивный.", None),
    ]),
    (["positivo", "negativo"], [
        ("Respuesta: positivo o negativo", None), ("La respuesta es negativo.", "negativo"),
    ]),
    (["إيجابي", "سلبي"], [
        ("الإجابة: إيجابي", "إيجابي"), ("النص ليس إيجابي", None),
    ]),
    (["tích cực", "tiêu cực"], [
        ("Câu trả lời: tích cực", "tích cực"),
    ]),
    (["สีแดง", "สีน้ำเงิน"], [
        ("คำตอบ: สีแดง", "สีแดง"),
    ]),
]  # fmt: skip

LISTS = [
    (["red", "green", "blue", "sea green"], [
        ("Answer:\n- red\n- blue", "red, blue"), ("Answer:\n* red\n* blue\n", "red, blue"),
        ("Answer:\n1. red\n2. sea green", "red, sea green"), ("Answer: red, green, and blue", "red, green, blue"),
        ("Answer: red & blue", "red, blue"), ("Answer: red/blue", "red, blue"), ("Answer: red+blue", "red, blue"),
        ("Answer: []", "none"), ("Answer: [red, blue]", "red, blue"), ("Answer: {red, blue}", "red, blue"),
        ("Answer: red | blue", "red, blue"), ("Answer: red or blue", None), ("Answer: none", "none"),
        ("Answer: None of the above.", "none"), ("Answer: red, yellow", None), ("Answer: not red", None),
        ("Answer: red (the hat), blue (the sky)", "red, blue"),
        ("Answer: red, blue because of the hat and the sky", "red, blue"),
        ("Answer:\n\n- **red**: the hat\n- **blue**: the sky", "red, blue"),
        ("Answer:\n- red\n- blue\n\nThe hat is red.", "red, blue"), ("- red\n- blue", "red, blue"),
        ("red and blue", "red, blue"), ("The labels are red and blue.", "red, blue"),
        ("#### red, blue", "red, blue"), ("\\boxed{red, blue}", "red, blue"), ("[\"red\"]", "red"), ("[]", "none"),
        ("Answer: red\nblue is not there", "red"), ("Answer: \"red\", \"blue\"", "red, blue"),
        ("Answer: red; blue; sea-green", "red, blue, sea green"), ("Answer: keine", "none"),
        ("Antwort: red und blue", "red, blue"), ("Réponse : red et blue", "red, blue"), ("答案：red、blue", "red, blue"),
        ("Answer: red, red", "red"), ("Answer: red - blue", "red, blue"), ("Answer: infrared", None),
        ("• red\n• blue", "red, blue"), ("Answer: Red, Blue.", "red, blue"),
        ("{\"answer\": [\"red\", \"blue\"]}", "red, blue"), ("{\"answer\": \"none\"}", "none"),
        ("Answer: red, maybe blue", None), ("Answer:\nred\nblue", "red, blue"), ("No label applies.", "none"),
    ]),
    (["1", "2", "3"], [
        ("Answer: 1, 3", "1, 3"), ("Answer: 1 and 3", "1, 3"), ("Answer: 1, 2.5", None),
    ]),
    (["R&D", "C++", "n/a"], [
        ("Answer: R&D, C++", "R&D, C++"), ("Answer: n/a, R&D", "R&D, n/a"),
    ]),
]  # fmt: skip

NLI = [
    ("The premise does not entail the hypothesis.", None),
    ("The premise neither entails nor contradicts the hypothesis, so it is neutral.", "neutral"),
    ("Answer: Contradiction (not neutral)", "contradiction"), ("Réponse : neutral", "neutral"),
    ("It is neither entailment nor contradiction. Neutral.", "neutral"),
    ("This is a contradiction.", "contradiction"), ("There is no contradiction.", None),
    ("entailment, neutral, contradiction", None),
]  # fmt: skip

CHOICES = [
    ("multiple_choice", "Answer: B and C", None), ("multiple_choice", "Answer: B/C", None),
    ("multiple_choice", "Answer: B, C", None), ("multiple_choice", "The answer is B or C.", None),
    ("multiple_choice", "The answer is either B or C.", None), ("multiple_choice", "Answer: B, not C", "B"),
    ("multiple_choice", "Answer: thing 1 or thing 2", None),
    ("multiple_choice", "Answer: thing 1, not thing 2", "B"), ("multiple_choice", "Answer: (B)", "B"),
    ("multiple_choice", "Answer: [B]", "B"), ("multiple_choice", "Answer: {B}", "B"),
    ("multiple_choice", "Answer: \\boxed{B}", "B"), ("multiple_choice", "Réponse : (C)", "C"),
    ("multiple_choice", "Antwort: B", "B"), ("multiple_choice", "答案：B", "B"), ("multiple_choice", "答案：Ｂ", "B"),
    ("multiple_choice", "<answer>B</answer>", "B"), ("multiple_choice", "Answer: $\\mathbf{B}$", "B"),
    ("multiple_choice", "Answer: B) thing 1", "B"), ("multiple_choice", "Answer: not B", None),
    ("multiple_choice", "Both B and C are correct.", None), ("multiple_choice", "Answer: B & D", None),
    ("multiple_choice", "**Answer: B**", "B"), ("multiple_choice", "Final answer: B.", "B"),
    ("multiple_choice", "Correct answer (final): B", "B"),
    ("multiple_choice", "Answer: A and the others are wrong", "A"), ("multiple_choice", "\\boxed{B}", "B"),
    ("multiple_choice", "\\boxed{B, C}", None), ("multiple_choice", "Answer: B because C is wrong", "B"),
    ("numbers", "Answer: 1 or 2", None), ("numbers", "Answer: 2.5", None), ("numbers", "The answer is 2.", "2"),
    ("numbers", "Answer: \\(2\\)", "2"), ("numbers", "Answer: 2, 3", None),
]  # fmt: skip
