"""What a server's refusal of a request means, whatever its form: an error object, one in a list, a validator's list, plain text."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from potstill.models import ErrorKind

_KIND_BY_STATUS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_TOO_LONG,
    425: ErrorKind.OVERLOADED,
    429: ErrorKind.RATE_LIMITED,
}
_KIND_BY_CODE = {
    "insufficient_quota": ErrorKind.QUOTA,
    "exceeded_current_quota_error": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "billing_not_active": ErrorKind.QUOTA,
    "insufficient_balance": ErrorKind.QUOTA,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "exceed_context_size_error": ErrorKind.CONTEXT_TOO_LONG,
    "string_above_max_length": ErrorKind.CONTEXT_TOO_LONG,
    "model_not_found": ErrorKind.NOT_FOUND,
    "DeploymentNotFound": ErrorKind.NOT_FOUND,
    "invalid_api_key": ErrorKind.AUTH,
}
_TOO_LONG = re.compile(
    r"maximum context length|context length is only|context size|context window|longer than the maximum model length|prompt is too long"
    r"|input is too long|too many (?:input )?tokens|maximum (?:input|prompt) length",
    re.IGNORECASE,
)
_OUT_OF_CREDIT = re.compile(
    r"\bcredit balance|\bbilling\b|\binsufficient[ _](?:quota|credits?|balance|funds?|account balance)|\bexceeded (?:your|the) (?:current |monthly )?quota"
    r"|\bout of (?:\w+ )?(?:credits?|quota|funds)\b|\b(?:purchase|buy|add) (?:more |additional )?(?:credits?|funds)|\bno (?:more |remaining )?credits?\b"
    r"|\bnot enough (?:\w+ )?(?:credits?|balance|funds|quota)|\bbalance (?:is )?(?:too low|insufficient|not enough|exhausted|negative)"
    r"|\bcredits? (?:\w+ ){0,3}(?:exhausted|depleted|used up|exceeded|run out)|\bquota (?:\w+ ){0,3}(?:exceeded|exhausted|used up|reached)"
    r"|\b(?:spend(?:ing)?|usage|budget|credit|monthly|daily|hard) (?:limit|cap)\b.{0,40}(?:reached|exceeded|hit)|\bbudget (?:has been )?exceeded"
    r"|\b(?:reached|exceeded|hit) (?:your|the) (?:\w+ ){0,3}(?:spend(?:ing)?|usage|budget|credit|monthly|daily) (?:limit|cap)"
    r"|\bpayment (?:is )?required|\bin arrears|\boverdue|\brecharge|\btop[ -]up\b|requires? more credits|余额|欠费|额度",
    re.IGNORECASE,
)
_SOON_AGAIN = re.compile(
    r"rate[ _-]?limit|per[ _-]?(?:minute|second)|perminute|\b[rt]pm\b|(?:try again|retry) (?:in|after) \d|retrydelay|too many requests",
    re.IGNORECASE,
)
"""A limit that a short wait lifts, whatever else it says of plans and billing."""
_A_DAY = re.compile(r"per[ _-]?(?:day|month)|\bdaily\b|\bmonthly\b", re.IGNORECASE)
_MODERATION_CODES = {
    "content_filter", "content_filtered", "data_inspection_failed", "datainspectionfailed", "invalid_prompt", "content_policy_violation",
    "moderation_blocked", "responsibleaipolicyviolation", "prohibited_content", "safety", "blocklist", "recitation", "spii", "sensitive",
    "content_blocked", "guardrail_intervened", "1301", "safety_violation", "content_violation", "moderation", "content_safety",
}  # fmt: skip
_MODERATED = re.compile(
    r"data_?inspection_?failed|prohibited_content|content[ _-](?:filter|polic(?:y|ies)|moderation|management|safety)|inappropriate content"
    r"|\b(?:unsafe|sensitive|harmful|prohibited|illegal|offensive) (?:or \w+ )?(?:content|input|output|text|material|word)|\bflagged\b"
    r"|usage polic(?:y|ies)|safety (?:system|filter|polic|setting|reason|guideline|check)|content exists risk|risk control"
    r"|\bhigh risk\b|\bmoderation\b|responsible ?ai|violat\w+ (?:\w+ ){0,4}(?:polic|guideline|terms)|content (?:was |is |has been )?(?:blocked|violat)"
    r"|\b(?:blocked|rejected|refused|stopped) (?:\w+ ){0,5}(?:safety|guardrail|filter|moderat|polic)|敏感|违规|不安全|不合规",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|project|api key|access)\b.{0,60}\b(?:suspend|disabl|terminat|deactivat|banned|blocked|revok)",
    re.IGNORECASE,
)
"""A vendor's judgement of the account, not of a prompt."""
UNKNOWN_STATUS = 502
"""The status of an error within a response of status 200, where it has none of its own; gateways pass errors on with it too."""
MAX_PARTS = 20
"""Problems of a validator's list that go into a message."""


def kind_of(status: int, text: str) -> tuple[ErrorKind | None, str]:
    """What kind of error a response of another status than 200 is, None for a refusal by moderation, and its message."""
    codes, message, moderated = ["", ""], _plain(text), False
    with suppress(RecursionError, ValueError):
        body = json.loads(text)
        error = _error(body)
        message = readable(error) or message
        codes = [str(error.get(name)) for name in ("code", "type", "status")] if isinstance(error, dict) else codes
        inner, metadata = (_object(error, name) for name in ("innererror", "metadata"))
        codes.append(str(inner.get("code")))
        moderated = status == 403 and bool(metadata.get("reasons") or metadata.get("flagged_input"))  # OpenRouter
    message = " ".join(message.split())
    coded = any(code.lower() in _MODERATION_CODES for code in codes)  # its message may quote a prompt about anything
    quota = None if coded else _is_quota(status, codes, message)
    if not quota and (moderated or _is_moderation(status, coded, message)):
        return None, message
    return quota or _kind(status, codes, message), message


def _kind(status: int, codes: list[str], message: str) -> ErrorKind:
    kind = next((_KIND_BY_CODE[code] for code in codes if code in _KIND_BY_CODE), None) or _KIND_BY_STATUS.get(status)
    if kind is None and status in (400, 422) and _TOO_LONG.search(message):
        kind = ErrorKind.CONTEXT_TOO_LONG
    if kind is None and 300 <= status < 400:
        kind = ErrorKind.NOT_FOUND
    if kind is None:
        kind = ErrorKind.OVERLOADED if status >= 500 else ErrorKind.INVALID_REQUEST
    return kind


def _is_quota(status: int, codes: list[str], message: str) -> ErrorKind | None:
    """`ErrorKind.QUOTA` where the account's credit is used up, in whatever words and status."""
    if any(_KIND_BY_CODE.get(code.lower()) is ErrorKind.QUOTA for code in codes):
        return ErrorKind.QUOTA
    if (status >= 500 and status != UNKNOWN_STATUS) or not _OUT_OF_CREDIT.search(message):
        return None
    if status == 429 and _SOON_AGAIN.search(message) and not _A_DAY.search(message):
        return None
    return ErrorKind.QUOTA


def _is_moderation(status: int, coded: bool, message: str) -> bool:
    """Whether moderation stopped this request, in whatever words; status 401 and 429 concern the account."""
    if not (400 <= status < 500 or status == UNKNOWN_STATUS) or status in (401, 402, 404, 408, 429):
        return False
    if _ACCOUNT.search(message):
        return False
    return coded or _MODERATED.search(message) is not None


def _error(body: Any) -> Any:
    """The error in a body: under ``error`` or ``errors``, in a list, or the body itself."""
    for _ in range(4):
        if isinstance(body, list) and body and all(isinstance(part, dict) and "error" in part for part in body):
            body = body[0]
        elif isinstance(body, dict) and body.get("error"):
            body = body["error"]
        else:
            break
    return body


def readable(error: Any, depth: int = 0) -> str:
    """The words of an error: its message, or where its fields stand and what is wrong with each; empty where it has none."""
    if isinstance(error, str):
        with suppress(ValueError, RecursionError):  # an error as JSON within a message
            if depth < 4 and error[:1] in "{[" and isinstance(inner := json.loads(error), dict | list):
                return readable(inner, depth + 1) or error
        return error
    if depth > 4:
        return ""
    if isinstance(error, list):
        return "; ".join(filter(None, (readable(part, depth + 1) for part in error[:MAX_PARTS])))
    if not isinstance(error, dict):
        return ""
    words = next(filter(None, (readable(error.get(name), depth + 1) for name in _WORDS)), "")
    place = ".".join(map(str, error["loc"])) if isinstance(error.get("loc"), list) else error.get("param")
    if isinstance(place, str) and place and place not in words:
        words = f"{place}: {words}"
    raw = readable(_object(error, "metadata").get("raw"), depth + 1)
    return f"{words} ({raw})" if raw and raw not in words else words


_WORDS = (
    "message",
    "msg",
    "detail",
    "details",
    "errors",
    "error",
    "error_msg",
    "error_message",
    "reason",
    "code",
    "type",
)
"""Where servers put the words of an error, in the order in which they are looked for."""


def _plain(text: str) -> str:
    """A body that is no JSON, without the tags of a page."""
    return re.sub(r"<[^<>]{0,200}>", " ", text) if text.lstrip()[:1] == "<" else text


def _object(parent: Any, name: str) -> Mapping[str, Any]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}
