"""Which answers to a problem count as right: numbers of any notation, units, equations, lists, ranges; never a wrong one."""

import pytest

from potstill.tasks.math import Math


def correct(text, gold, *, strict, language="english"):
    task = Math(language=language)
    answer = task.parse(text, "stop", {}, strict=strict).answer
    return answer is not None and task.scores(answer, {"gold": task.parse_gold(gold, {})})["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ('Answer: negative 7', '-7'), ('Answer: negative seven', '-7'), ('Answer: negative $7', '-7'),
        ('Answer: The result is negative 7.', '-7'), ('Answer: eleven', '11'), ('Answer: twenty-one apples', '21'),
        ('Answer: She has seven apples', '7'), ('Answer: one hundred and five', '105'), ('Answer: half', '0.5'),
        ('Answer: 3 hundred', '300'), ('Answer: 2.5 million people', '2500000'), ('Answer: 7k', '7000'),
        ('Answer: $7k', '7000'), ('Answer: 3,75,000', '375000'), ('Answer: Rs. 3,75,000', '375000'),
        ('Answer: ₹3,75,000.50', '375000.5'), ('Answer: 12,34,567', '1234567'), ('Answer: 2.345,50', '2345.5'),
        ('Answer: 12 345', '12345'), ("Answer: 12'345", '12345'), ('Answer: 12_345', '12345'), ('Answer: 6 m/s', '6'),
        ('Answer: 6 m/s^2', '6'), ('Answer: 6m²', '6'), ('Answer: 6 m^2', '6'), ('Answer: 6 km²', '6'),
        ('Answer: 6 square meters', '6'), ('Answer: 90 °C', '90'), ('Answer: ~15', '15'), ('Answer: ~$15', '15'),
        ('Answer: about 15', '15'), ('Answer: approximately 15 kg', '15'), ('Answer: 3.4 x 10^3', '3400'),
        ('Answer: 3.4 X 10^-2', '0.034'), ('Answer: 3.4×10⁵', '340000'), ('\\boxed{\\text{The answer is } 8}', '8'),
        ('\\boxed{\\text{minus } 8}', '-8'), ('\\boxed{8\\text{ apples}}', '8'), ('\\boxed{\\$8,500}', '8500'),
        ('Answer: 36+28=64', '64'), ('Answer: 36+28=64 clips', '64'), ('Answer: $36 + $28 = $64', '64'),
        ('Answer: 3 x 4 = 12 eggs', '12'), ('Answer: 12, since 3 + 5 = 8 and 8 + 4 = 12', '12'),
        ('Answer: 12, because 3+5=8', '12'), ('We look for the answer: first 3+4=7.\nSo the answer is 12.', '12'),
        ('We look for the answer: first 3+4=7.\nThe final answer is \\boxed{12}.', '12'),
        ('Answer: 12\nI checked it: the answer is 12, not 13.', '12'), ('Antwort: 42 Eier in 3 Kartons', '42'),
        ('Answer: 18 dollars per day', '18'), ('Answer: 72 clips in 3 boxes', '72'), ('Answer: $24 (i.e., 4 × $6)', '24'),
        ('Answer: 0.5 (or 1/2)', '0.5'), ('Answer: 1/2 or 0.5', '0.5'), ('Answer: 3-1/2', '3.5'),
        ('Answer: 2 and a half', '2.5'), ('Answer: 50 percent', '0.5'), ('Answer: fifty percent', '50'),
        ('Answer: USD 1,200.50', '1200.5'), ('Answer: 1200 EUR', '1200'), ('Answer: ١٢', '12'),
        ('Answer: 1.234.567', '1234567'), ('Answer: 3½', '3.5'), ('Answer: −5', '-5'), ('Answer: –5', '-5'),
        ('Answer: **5**', '5'),
    ],
)  # fmt: skip
def test_right_in_the_requested_form(text, gold):
    assert correct(text, gold, strict=True)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ('Answer: x = 3, x = -2', '-2, 3'), ('Answer: x = 1 or 2', '1, 2'), ('Answer: x=1, y=2', 'x=1,y=2'),
        ('Answer: 3 to 9', '3-9'), ('Answer: 3 to 9', '3–9'), ('Answer: 2x+5y-1=0', '2x+5y-1=0'),
        ('Answer: The equation of the line is 2x+5y-1=0.', '2x+5y-1=0'),
        ('Answer: The circle is $(x-2)^2 + y^2 = 16$.', '(x-2)^2 + y^2 = 16'), ('Answer: a + b = 12', '12'),
        ('Answer: m+n = 55', '55'), ('Answer: f(2) = 9', '9'), ('Answer: 8 minus 3', '5'), ('Answer: $3 billion', '3000000000'),
        ('Answer: 12,5 cm', '12.5'), ('The answer is $8{,}500.', '8500'), ('Answer: 12 = 3 x 4', '12'),
        ('The answer is not 5. There are 6.', '6'), ('#### 42\nThat took 3 steps', '42'),
        ('The answer is 42 eggs in 3 boxes', '42'), ('La réponse est 42 œufs en 3 boîtes', '42'), ('答案是42。有3个', '42'),
        ('Answer: 1 < x < 6', '(1,6)'), ('Answer: $1 \\leq x < 6$', '[1,6)'), ('Answer: {1, 6}', '1, 6'),
        ('Answer: at 12:00 noon', '12:00'), ('The population is 1.5 million.', '1500000'), ('The change is negative 4.', '-4'),
        ('Answer: \\frac{1}{2}', '0.5'), ('Answer: x = \\frac{1}{2}', '0.5'), ('Answer: $2\\sqrt{3}$ cm', '2\\sqrt{3}'),
        ('Answer: 7 %', '7'), ('Answer: 1,2,3', '1,2,3'), ('Answer: (5)', '5'), ('So x = 5, y = 3 and x + y = 8.', '8'),
        ('We need 3x = 12 so x = 4.', '4'), ('2x + 3 = 7, x = 2', '2'), ('Answer: x^2 = 4, x = 2 or x = -2', '-2, 2'),
        ('Answer: x_1 = 2, x_2 = 3', '2, 3'), ('Answer: apples = 5, total = 8', '8'),
        ('Answer: cost = 3 * 4 = 12 dollars', '12'), ('Answer: 48/2 = 24, 48 + 24 = 72', '72'),
        ('Answer: 48/2 = 24 and 48 + 24 = 72 clips', '72'), ('Answer: \\alpha = 30', '30'),
        ('Answer: \\angle ABC = 30^\\circ', '30'), ('Answer: P(A) = 0.5', '0.5'), ('Answer: 10²', '100'),
        ('Answer: 2.5×10⁻³', '0.0025'), ('Answer: 5 = x', '5'), ('Answer: 5k', '5000'), ('Answer: 1,00,000', '100000'),
        ('\\boxed{\\text{The answer is } 5}', '5'), ('Answer: x \\in (1,2)', '(1,2)'), ('Answer: x \\in \\{1,2\\}', '1, 2'),
        ('Answer: $x \\in [1, 2)$', '[1,2)'), ('Answer: 7:30 am', '7:30'), ('Answer: -$5', '-5'), ('Answer: 12 (twelve)', '12'),
        ('Answer: twelve (12)', '12'), ('Answer: **twelve**', '12'), ('Answer: about five', '5'), ('Answer: 2^10', '1024'),
        ('Answer: 2**10', '1024'), ('Answer: 1,234,567.89', '1234567.89'), ('Answer: 1 234,56 €', '1234.56'),
        ('Answer: ３', '3'), ('Answer: 5 (five) apples', '5'), ('Answer: 50¢', '50'), ('Answer: 5/8 of the cake', '5/8'),
        ('Answer: 0.75 cups (3/4)', '0.75'), ('Answer: x=5, so 5', '5'), ('Answer: $x = 5$ or $x = 3$', '3, 5'),
        ('Answer: 10-3=7 apples left', '7'), ('Answer: 100 - 25% = 75', '75'), ('Answer: 30 + 12 = $42', '42'),
        ('Answer: The answer is 7.', '7'), ('Answer: 5, 6, or 7', '5, 6, 7'), ('Answer: 5?', '5'), ('Answer: 5!', '120'),
        ('Answer: \\frac{3}{4} cups', '3/4'), ('Answer: \\$1{,}234', '1234'), ('Answer: $1,234$', '1234'),
        ('Answer: 5 \\times 10^3', '5000'), ('Answer: 5e3', '5000'), ('Answer: 5 thousand', '5000'),
        ('Answer: five thousand', '5000'), ('Answer: 3/4 million', '750000'), ('Answer: half a dozen', '6'),
        ('Answer: 3.5k', '3500'), ('Answer: €12,50', '12.5'), ('Answer: 12.50€', '12.5'), ('Answer: £1.234,50', '1234.5'),
        ('Answer: 5 or so', '5'), ('Answer: 5 at most', '5'), ('Answer: 1 hour', '1'), ('Answer: 5,000,000', '5000000'),
        ('Answer: 5000000', '5,000,000'), ('Answer: 5.000', '5'), ('Answer: x^2+2x+1', '(x+1)^2'),
        ('Answer: (3, \\pi/2)', '(3, \\frac{\\pi}{2})'), ('Answer: 5-ish', '5'), ('Answer: July 4', '4'), ('答えは 42 です', '42'),
        ('答え：４２', '42'), ('Ответ: минус 3', '-3'), ('The answer is: 5.', '5'),
        ('So the answer: 48+16=64. The answer is 65.', '65'), ('The final answer is **12**.', '12'),
        ('The answer to the question is 12 apples. She had 3.', '12'), ('The answer would be 12.', '12'), ('Answer = 12', '12'),
        ('Answer is 12', '12'), ('**Final answer**: 12', '12'), ('Answer:\n12', '12'), ('Answer:\n\n$$12$$', '12'),
        ('Answer:\n\\[ x = 12 \\]', '12'), ('Answer: 3\\sqrt{2} cm', '3\\sqrt{2}'), ('Answer: 2^5 ways', '32'),
        ('Answer: two and a half million', '2500000'), ('Answer: half a million', '500000'),
        ('Answer: 2 and a half million', '2500000'), ('Answer: a million', '1000000'),
    ],
)  # fmt: skip
def test_right_in_another_form(text, gold):
    assert correct(text, gold, strict=False)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ('Answer: x=1, y=2', '2'), ('Answer: 3 to 9', '9'), ('Answer: 3 to 9 metres', '3'), ('Answer: between 3 and 9', '3'),
        ('Answer: between 3 and 9', '9'), ('Answer: 3–9', '9'), ('Answer: 3-9 days', '3'), ('Answer: 3 or 9', '9'),
        ('Answer: 3 or 9', '3'), ('Answer: 3 or 9 apples', '9'), ('Answer: (x-2)^2 + y^2 = 16', '(x+2)^2 + y^2 = 16'),
        ('Answer: (x-2)^2 + y^2 = 16', '16'), ('Answer: 16', '(x-2)^2 + y^2 = 16'), ('Answer: 2x+5y-1=0', '0'),
        ('Answer: 0', '2x+5y-1=0'), ('Answer: 2x+5y-1=0', '2x-5y-1=0'), ('Answer: The circle is $(x-2)^2 + y^2 = 16$.', '16'),
        ('Answer: 2x = 10', '10'), ('Answer: minus 7', '7'), ('Answer: 8 minus 3', '8'), ('Answer: no one', '1'),
        ('Answer: one of them is wrong', '1'), ('Answer: half a million', '1/2'), ('Answer: 3 hundred', '3'),
        ('Answer: 2.5 million people', '2.5'), ('Answer: 7k', '7'), ('Answer: 12,5 cm', '12'), ('Answer: 6x', '6'),
        ('Answer: 6m²', '36'), ('\\boxed{8 \\text{ to } 9}', '9'), ('\\boxed{8 \\text{ or } 9}', '9'),
        ('Answer: 36 + 28 = 64 clips', '36'), ('Answer: 2 hours 30 minutes', '2'), ('Answer: 5 dollars and 30 cents', '5'),
        ('Answer: Mia keeps 6 and Leo keeps 8 shells', '8'), ('Answer: 3-1/2', '2.5'), ('Answer: $1 \\leq x < 6$', '(1,6)'),
        ('Answer: 1 < x < 6', '6'), ('Answer: (1, 6)', '6'), ('Answer: \\{1, 6\\}', '6'), ('Answer: \\{1, 6\\}', '(1,6)'),
        ('Answer: [1, 6]', '1, 6'), ('Answer: at 12:00 noon', '0'), ('Answer: 4:45 PM', '4:54'), ('Answer: 3:4', '4'),
        ('Answer: x > 5', '5'), ('Answer: five or six', '5'), ('Answer: five or six', '6'),
        ('Answer: between two and five', '5'), ('So it takes 5 to 7 days.', '7'), ('So it takes 5 to 7 days.', '5'),
        ('So x = 5 or x = 7.', '7'), ('The line is 3x - y + 13 = 0.', '0'), ('Answer: 5 out of 8', '8'),
        ('Answer: $2\\sqrt{3}$ cm', '2'), ('Answer: 1,2,3', '3'), ('Answer: 5 + 2i', '5'), ('Answer: 5 pi', '5'),
        ('Answer: -5 to 5', '5'), ('Answer: from 5 to 7', '7'), ('Answer: 5 up to 7', '7'),
        ('Answer: x^2 = 4, x = 2 or x = -2', '-2'), ('Answer: x + 1 = 6', '6'), ('Answer: (x+1)^2 + y^2 = 9', '9'),
        ('Answer: 5 apples and 3 oranges', '8'), ('Answer: 5 apples and 3 oranges', '5'), ('Answer: 7:30 am', '7'),
        ('Answer: $x = 5$ and $y = 3$', '5'), ('Answer: $x = 5$ and $y = 3$', '3'), ('Answer: $x = 5$ or $x = 3$', '3'),
        ('Answer: it is 7 to 9', '9'), ('Answer: 1.5 to 2', '2'), ('Answer: 10% to 20%', '20%'), ('Answer: $5 - $7', '5'),
        ('Answer: $5-$7', '7'), ('Answer: 5 through 7', '7'), ('Answer: 5 and 7', '12'), ('Answer: 5 & 7', '5'),
        ('Answer: either 5 or 7', '7'), ('Answer: either 5 or 7', '5'), ('Answer: It is either 5 or 7', '7'),
        ('Answer: could be 5 or 7', '7'), ('Answer: 5, 6, or 7', '7'), ('Answer: x > 5 or x < 2', '2'),
        ('Answer: less than 5', '5'), ('Answer: more than 5', '5'), ('Answer: not 5', '5'),
        ('Answer: The radius is 3 and the centre is (1, 2)', '2'), ('Answer: (1, 2) and radius 3', '3'),
        ('Answer: x^2 + 2x + 1', '1'), ('Answer: x^2+2x+1', '(x-1)^2'), ('Answer: y = -2x + 5', '5'),
        ('Answer: y = -2x + 5', 'y=2x+5'), ('Answer: 2\\pi', '6.28'), ('Answer: no solution', '0'), ('Answer: 3 R 2', '3'),
        ('Answer: 3 remainder 2', '3'), ('Answer: 5 (or 6)', '5'), ('Answer: roughly 5-6', '6'), ('Answer: 6 - 5', '6'),
        ('Answer: 5 ft 3 in', '5'), ('Answer: 1 lb 4 oz', '1'), ('Answer: 3h 20min', '3'), ('Answer: 3h20', '3'),
        ('Answer: 25,50', '25'), ('Answer: [5, 7]', '5 to 7'), ('Answer: 5 < x', '5'), ('Answer: 3\\sqrt{2} cm', '3'),
        ('Answer: 2π cm', '2'), ('Answer: 2^5 ways', '2'), ('Answer: two and a half million', '2'),
        ('Answer: half a million', '1000000'), ('Answer: a quarter of a million', '1000000'),
    ],
)  # fmt: skip
def test_a_different_answer_is_never_right(text, gold):
    assert not correct(text, gold, strict=True)
    assert not correct(text, gold, strict=False)


@pytest.mark.parametrize(
    ("language", "text", "gold"),
    [
        ("german", "Die Antwort ist 2.345,50 €.", "2345.5"),
        ("french", "Réponse : moins 5", "-5"),
        ("french", "La réponse est : 3,5", "3.5"),
        ("german", "Antwort: 1.5", "1.5"),
        ("german", "Antwort: 2.345", "2345"),
        ("german", "Antwort: 2,5 kg", "2.5"),
        ("german", "Antwort: 0,5", "0.5"),
        ("french", "Réponse : 12 345,6", "12345.6"),
    ],
)
def test_the_language_decides_what_a_separator_means(language, text, gold):
    assert correct(text, gold, strict=False, language=language)


def test_in_german_a_point_between_thousands_is_no_decimal_point():
    assert not correct("Antwort: 2.345", "2,345", strict=True, language="german")
    assert correct("Answer: 2.345", "2.345", strict=True)
    assert not correct("Answer: 2.345", "2345", strict=True)


def test_gold_that_is_a_json_number_has_a_decimal_point_in_any_language():
    assert Math(language="german").parse_gold(2.345, {}) == "2.345"
    assert Math(language="german").parse_gold("2.345", {}) == "2345"


def test_an_unknown_language_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"'germna' is no known language\. Did you mean 'german'\?"):
        Math(language="germna")


@pytest.mark.parametrize(
    ("gold", "read"),
    [
        ("3x-y+13=0", "3x-y+13=0"), ("x = 4 or x = 9", "4, 9"), ("4 to 9", "4 to 9"), ("4-9", "4 to 9"), ("x = 4", "4"),
        ("3,75,000", "375000"), ("2.5 million", "2500000"), ("twelve", "12"), ("7 + 5 = 12", "12"),
    ],
)  # fmt: skip
def test_gold_is_read_whole(gold, read):
    assert Math().parse_gold(gold, {}) == read


@pytest.mark.parametrize("gold", ["no idea", "ask Ann about the 3 boxes", ""])
def test_gold_that_is_no_value_is_refused(gold):
    with pytest.raises(ValueError, match=r"is no number or expression|empty|holds no"):
        Math().parse_gold(gold, {})


def test_an_announcement_after_an_answer_line_is_the_answer():
    parsed = Math().parse("To find the answer: add 3 and 4.\nThe answer is 12.", "stop", {}, strict=True)
    assert (parsed.answer, parsed.rule) == ("12", "stated")
    parsed = Math().parse("The answer is 12 at first sight.\nAnswer: 13", "stop", {}, strict=True)
    assert (parsed.answer, parsed.rule) == ("13", "answer-line")


@pytest.mark.parametrize(
    "text", ["Respuesta: 12 sillas en 4 filas", "Antwort: 12 Stühle auf 4 Reihen", "Answer: 12 chairs in 4 rows"]
)
def test_the_first_number_of_an_answer_with_a_place(text):
    assert correct(text, "12", strict=True)


@pytest.mark.parametrize(
    "text", ["Antwort: 3 oder 4", "Réponse : 3 ou 4", "Respuesta: 3 y 4", "Ответ: 3 или 4", "答案：3和4"]
)
def test_two_numbers_are_a_list_in_other_languages(text):
    assert correct(text, "3, 4", strict=True)
    assert not correct(text, "4", strict=False)
    assert not correct(text, "3", strict=False)
