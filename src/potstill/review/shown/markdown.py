"""Markdown and mathematics as HTML that holds nothing active: no raw HTML, links, images, styles or scripts."""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from html import escape, unescape
from typing import Any
from xml.etree.ElementTree import Element

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MAX_MATHEMATICS = 1_000
"""Characters of a formula that is typeset; a longer one is shown as it was written."""
_ELEMENTS = frozenset(
    ("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "ms", "mfrac", "msqrt", "mroot", "mstyle", "merror", "mpadded", "mphantom",
     "menclose", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none", "mtable", "mtr",
     "mtd", "mlabeledtr")
)  # fmt: skip
_ATTRIBUTES = frozenset(
    ("display", "displaystyle", "mathvariant", "stretchy", "fence", "form", "separator", "symmetric", "accent", "accentunder",
     "linethickness", "columnalign", "rowspan", "columnspan", "lspace", "rspace", "width", "height", "depth", "minsize", "maxsize",
     "movablelimits", "notation", "scriptlevel")
)  # fmt: skip
_BIDI = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), "\ufffd")


def plain(text: str) -> str:
    """A text without what would change how the text around it is shown: controls and overrides of the writing direction."""
    visible = text.translate(_BIDI)
    return "".join(c if c in "\n\t" or (ord(c) > 31 and not 0x7F <= ord(c) < 0xA0) else "\ufffd" for c in visible)


@lru_cache(maxsize=256)
def html_of(text: str) -> Markup:
    """Markdown as HTML. Raw HTML, links and images are shown as they were written; formulas between ``$`` or ``\\(`` become MathML."""
    try:
        return Markup(_parser().render(plain(text)))
    except RecursionError:  # deeply nested on purpose
        return Markup("<pre>{}</pre>").format(plain(text))


@cache
def _parser() -> MarkdownIt:
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.texmath import texmath_plugin

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False}).enable("table")
    parser.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    parser.use(texmath_plugin, delimiters="brackets")
    for name in ("math_inline", "math_inline_double", "math_block", "math_single"):
        parser.add_render_rule(name, _render_mathematics)
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    parser.add_render_rule("td_open", _render_cell)
    parser.add_render_rule("th_open", _render_cell)
    parser.add_render_rule("heading_open", lambda *_: '<p class="heading"><strong>')
    parser.add_render_rule("heading_close", lambda *_: "</strong></p>\n")
    return parser


def _render_mathematics(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    token = tokens[index]
    block = token.type in ("math_block", "math_inline_double")
    return str(mathematics(token.content.strip(), block=block))


def _render_code(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _render_cell(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    """Without the style attribute for alignment, which the page's content-security policy does not allow."""
    return f"<{tokens[index].tag}>"


@lru_cache(maxsize=1024)
def mathematics(latex: str, *, block: bool = False) -> Markup:
    """A formula as MathML; as it was written where it cannot be converted, or conversion yields more than plain MathML."""
    from latex2mathml.converter import convert_to_element

    if len(latex) <= MAX_MATHEMATICS:
        try:
            return Markup(_serialized(convert_to_element(latex, display="block" if block else "inline")))
        except Exception:  # the library raises errors of any kind for what it does not read
            return _as_written(latex)
    return _as_written(latex)


def _as_written(latex: str) -> Markup:
    return Markup('<code class="formula">{}</code>').format(latex)


def _serialized(element: Element) -> str:
    """An element of MathML with those of its parts that are known to be safe. Its texts hold references to characters, which are
    replaced before everything is escaped. Raises `ValueError` for any other element."""
    if element.tag not in _ELEMENTS:
        raise ValueError(element.tag)
    attributes: Mapping[str, str] = {k: v for k, v in element.attrib.items() if k in _ATTRIBUTES}
    opening = "".join(f' {name}="{escape(unescape(value))}"' for name, value in attributes.items())
    inner = escape(unescape(element.text or "")) + "".join(
        _serialized(child) + escape(unescape(child.tail or "")) for child in element
    )
    return f"<{element.tag}{opening}>{inner}</{element.tag}>"
