"""Texts of models in the review: no markup of theirs becomes markup of the page, and marks are where they should be."""

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.review.shown.differences import differences
from potstill.review.shown.markdown import MAX_MATHEMATICS, html_of, mathematics
from potstill.review.shown.sentences import sentences, supported

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "![a](https://elsewhere.example/x.png)",
    "<https://elsewhere.example/>",
    "[a]: javascript:alert(1)\n\n[a]",
    '<a href="data:text/html,x">x</a>',
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\href{javascript:alert(1)}{x}$",
    "$\\style{position:fixed}{x}$",
    "$\\unicode{x3c}script\\unicode{x3e}$",
    "\\[\n\\text{</math><script>alert(1)</script>}\n\\]",
    "|a|\n|:-:|\n|<b onclick=x>|",
    "```<script>\nx\n```",
    "<!-- x --><svg/onload=alert(1)>",
    "# <b>x",
]
TAG = re.compile(r"<\s*/?\s*([^\s/>]+)([^>]*)>")
ALLOWED = {
    "p",
    "strong",
    "em",
    "ul",
    "ol",
    "li",
    "code",
    "pre",
    "blockquote",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "br",
    "hr",
}
MATHEMATICS = {
    "math",
    "mrow",
    "mi",
    "mo",
    "mn",
    "mtext",
    "mspace",
    "msup",
    "mfrac",
    "mstyle",
    "msub",
    "msubsup",
    "msqrt",
}


def harmless(html):
    """Whether HTML has only elements and attributes that do nothing. Text is escaped, so that each '<' begins an element."""
    for name, attributes in TAG.findall(html):
        names = set(re.findall(r'([^\s="]+)="[^"]*"', attributes))
        known = name in ALLOWED | MATHEMATICS and names <= {
            "class",
            "tabindex",
            "start",
            "display",
            "stretchy",
            "mathvariant",
        }
        if not known:
            return False
    return html.count("<") == len(TAG.findall(html))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_stays_text(text):
    html = html_of(text)
    assert harmless(html), html


def test_the_check_itself_sees_what_is_active():
    assert not harmless("<script>x</script>")
    assert not harmless('<p onclick="x">x</p>')
    assert not harmless("<p>a < b</p>")


@given(st.text(st.sampled_from(list("<>&\"'`$\\*_[]()!#|-{}^ \nab\u202e\x00")), max_size=80))
def test_any_text_becomes_harmless(text):
    html = html_of(text)
    assert harmless(html), html
    assert "\u202e" not in html and "\x00" not in html  # noqa: PT018


def test_markdown_and_mathematics_are_shown():
    html = html_of("**So** $\\frac{a}{2}$ costs $5 or $6.\n\n| a |\n|---|\n| 1 |\n\n1. one")
    for piece in ("<strong>So</strong>", "<mfrac>", "costs $5 or $6.", "<td>1</td>", "<ol>"):
        assert piece in html
    assert '<math display="block">' in html_of("$$\nx^2\n$$")
    assert "<msup>" in html_of("\\(x^2\\)")


@pytest.mark.parametrize("latex", ["{" * 900, "\\frac{", "x" * (MAX_MATHEMATICS + 1), "\\begin{"])
def test_what_cannot_be_typeset_is_shown_as_it_was_written(latex):
    assert mathematics(latex) == f'<code class="formula">{latex}</code>'


@pytest.mark.parametrize(
    "text", ["> " * 3000, "[" * 6000, "$" * 6000, "*a **b " * 900, "`" * 6000, "| a " * 1500, "- " * 3000, "(" * 6000]
)
def test_a_hostile_page_takes_no_second(text):
    began = time.process_time()
    html_of(text)
    assert time.process_time() - began < 1


def test_sentences_are_whole():
    text = "Dr. Smith paid $3.50 to A. B. Jones. He left!  “Really?” Yes…\n\nNew line\n好。再见"
    assert [one.strip() for one in sentences(text)] == [
        "Dr. Smith paid $3.50 to A. B. Jones.", "He left!", "“Really?”", "Yes…", "New line", "好。", "再见",
    ]  # fmt: skip


@given(st.text(st.sampled_from(list(".!? \n\"'aB3。")), max_size=60))
def test_sentences_lose_nothing(text):
    assert "".join(sentences(text)) == text


def test_each_sentence_has_what_supports_it():
    source = "The mill opened in 1901. It burned down in 1950. The owner, Ann Lee, rebuilt it. Tourists come in summer."
    summary, split = supported("Ann Lee rebuilt the mill. It opened in 1901. Dragons live there.", source)
    assert [one.text for one in split][2] == "The owner, Ann Lee, rebuilt it."
    assert summary[0].supports[0] == 2
    assert summary[1].supports[0] == 0
    assert summary[2].supports == ()
    assert supported("", source)[0] == []
    assert supported("One.", "")[0][0].supports == ()


def test_differences_are_marked_and_escaped():
    left, right = differences("It costs <b> 5 dollars", "It costs <b> 6 dollars")
    assert left == "It costs &lt;b&gt; <mark>5</mark> dollars"
    assert right == "It costs &lt;b&gt; <mark>6</mark> dollars"


@given(st.text(max_size=40), st.text(max_size=40))
def test_differences_lose_nothing(first, second):
    for text, marked in zip((first, second), differences(first, second), strict=True):
        assert (
            unescape(re.sub("</?mark>", "", marked)) == unescape(unescape(re.sub("</?mark>", "", marked)))
            or "&" in text
        )
        assert unescape(re.sub("</?mark>", "", str(marked))) == text


@pytest.mark.parametrize("piece", ["a ", "a b ", "x", "\u202e"])
def test_differences_of_long_texts_take_no_second(piece):
    began = time.process_time()
    differences(piece * 3000, piece * 2999 + "z")
    assert time.process_time() - began < 1
