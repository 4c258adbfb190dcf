"""Personal data is redacted; other text is unchanged."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.recipe.redaction import RULES, Redactor

ALL_RULES = list(RULES)


@pytest.mark.parametrize(("text", "redacted"), [
    ("Write to ann@example.org", "Write to [EMAIL]"),
    ("<ann.o'brien+x@mail.example.co.uk>, please.", "<[EMAIL]>, please."),
    ("'ann@example.org'.", "'[EMAIL]'."),
    ("jürgen@müller-gmbh.de", "[EMAIL]"),
    ("联系ann@example.org吧", "联系[EMAIL]吧"),
    ("a@example.org b@example.org", "[EMAIL] [EMAIL]"),
    ("+4930123456 on 2024-01-02", "[PHONE] on 2024-01-02"),
    ("+49 30 1234567, +44 (0)20 7946 0958", "[PHONE], [PHONE]"),
    ("+1 (555) 123-4567 +1-555-123-4567", "[PHONE] [PHONE]"),
    ("call (555) 123-4567 or 555.123.4567!", "call [PHONE] or [PHONE]!"),
    ("1-800-555-1234", "[PHONE]"),
    ("Tel.:030 1234567, (030) 1234567, 030/12 34 56 78", "Tel.:[PHONE], [PHONE], [PHONE]"),
    ("01 23 45 67 89 or 01.23.45.67.89", "[PHONE] or [PHONE]"),
    ("020 7946 0958; 06-12345678; 0049 30 1234567; 138 1234 5678", "[PHONE]; [PHONE]; [PHONE]; [PHONE]"),
    ("card 4111 1111 1111 1111 12/27", "card [CARD] 12/27"),
    ("4242424242424242 and 4111-1111-1111-1111", "[CARD] and [CARD]"),
    ("1234 4111 1111 1111 1111", "1234 [CARD]"),
    ("DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX", "[IBAN] BIC COBADEFFXXX"),
    ("IBAN:GB82WEST12345698765432.", "IBAN:[IBAN]."),
    ("NO9386011117947", "[IBAN]"),
    ("from 192.168.1.10.", "from [IP]."),
    ("[2001:db8::1]:443 and fe80::1: down", "[[IP]]:443 and [IP]: down"),
    ("2001:0db8:0000:0000:0000:ff00:0042:8329", "[IP]"),
])  # fmt: skip
def test_personal_data_is_redacted(text, redacted):
    assert Redactor(ALL_RULES)(text) == redacted


@pytest.mark.parametrize("text", [
    "", "a@b", "@example.org", "x = a @ b.T",
    "on 2024-01-02, 01.02.2024 10:30, 01/02/2024 12:34:56, 01-02-24 10, 2024-01-02T03:04:05",
    "$1,234.56 or 1 000 000,00 EUR, 12.000,00, 1.234.567.890",
    "12000 people, 5 000 000 - 6 000 000, 0123456789, 3.14159265358979, 0.1234567890",
    "order 112-3456789-1234567, ORD-2024-00123, AB-0123-456-789, #0123-456-789",
    "ISBN 978-3-16-148410-0, 0-306-40615-2", "pages 100-2000", "-12345678", "2+12345678",
    "4111 1111 1111 1112", "0000 0000 0000 0000", "41111111111111111", "x4111111111111111",
    "DE88 3704 9044", "GB83WEST12345698765432", "SW19 5AE FOR ALL",
    "300.1.1.1", "v1.2.3.4", "1.2.3.4.5", "10:30:45", "00:1a:2b:3c:4d:5e", "std::vector", "x :: Int", "a::b", "::",
])  # fmt: skip
def test_other_text_is_unchanged(text):
    redactor = Redactor(ALL_RULES)
    assert redactor(text) == text
    assert not redactor.counts.total()


def test_only_the_named_rules_are_applied_and_counted():
    redactor = Redactor(["email"], {"employee": r"E-\d{4}", "case": "(?i)case [a-z]+"})
    assert redactor("E-0001 wrote a@example.org about Case xyz") == "[EMPLOYEE] wrote [EMAIL] about [CASE]"
    assert redactor("+49 30 1234567, E-0002") == "+49 30 1234567, [EMPLOYEE]"
    assert redactor.counts == {"employee": 2, "email": 1, "case": 1}


@pytest.mark.parametrize(("rules", "patterns", "message"), [
    (["emial"], {}, "no rule 'emial'. Did you mean 'email'?"),
    ([], {"a": "("}, "a: not a regular expression"),
    ([], {"a": "a{99999999999999999999}"}, "a: not a regular expression"),
    ([], {"a": "(" * 5000}, "a: not a regular expression"),
    ([], {"email": "a"}, "'email' is the name of a rule"),
    ([], {"a]": "a"}, "'a]' is not a name"),
])  # fmt: skip
def test_invalid_rules_are_refused(rules, patterns, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Redactor(rules, patterns)


def test_a_user_pattern_that_matches_empty_text_or_takes_too_long():
    assert Redactor([], {"a": "x*"})("axxb") == "a[A]b"
    slow = Redactor([], {"slow": "(?:a+)+b"})
    assert slow("a" * 5000) == "[SLOW]"  # text that could not be searched is not passed on
    assert slow.counts == {"slow": 1}


def seconds_for(text):
    start = time.process_time()
    Redactor(ALL_RULES)(text)
    return time.process_time() - start


PIECES = [
    "a", "a@", "a.", "'a", "1 ", "1111 ", "+1", "+1 1 ", "AA11 ", "AA11", "AA11 AAAA AAAA AAAA ", "01 ", "(0", "1.1.", "::",
    "a:", "1:", "0", "A1", "(", "01-01 - ", "555 555 ", "a@a.", "4111 1111 1111 1111 ", "GB82WEST12345698765432 ", "٣", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_hostile_texts_take_linear_time(piece):
    for text in (piece * (100_000 // len(piece)), "a@" + piece * (100_000 // len(piece))):
        assert seconds_for(text) < 1 or seconds_for(text) < 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text("aA0159+-.:@/ ()'", max_size=12), min_size=1, max_size=6))
def test_no_text_raises_or_takes_long(pieces):
    piece = "".join(pieces)
    text = (piece * (100_000 // max(len(piece), 1) + 1))[:100_000]
    assert seconds_for(text) < 1 or seconds_for(text) < 1


@given(st.text())
def test_no_text_raises(text):
    Redactor(ALL_RULES, {"own": r"\w+!"})(text)
