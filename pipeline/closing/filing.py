"""Submissions and answers: how a frozen month becomes the bytes that are filed, and how an answer is read. Pure (ADR 5).

Enters: the report as filed, its signature, the operator's mapping. Leaves: the submission's exact bytes; and from an answer's status and bytes an
`Answer`. The filing service's interface is not published, so every name in it is a setting. Left out: sending (connectors).
"""

from __future__ import annotations

import base64
import html
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat

from pipeline.log.events.months import Outcome, RejectedRow
from pipeline.model.errors import FilingError
from pipeline.model.message import message, text_of
from pipeline.model.secret_mask import SecretMask

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
MAX_DEPTH = 200
"""The deepest nesting of JSON brackets or XML elements in an answer that is read."""
KEPT_BYTES = 65_536
"""How many bytes of an answer's body the log keeps."""
MAX_ROWS = 1_000
"""How many rejected rows of an answer are kept."""
MOST_RECEIPT_CHARACTERS = 65_536
_NO_RECEIPT = ("", "false", "true", "null", "none", "nil", "undefined", "0", "-", "n/a")


@dataclass(frozen=True)
class Form:
    """What is filed."""

    pool: str
    month: str
    version: int
    digest: str
    report: bytes
    """`report.json` of the bundle: the bytes that `signature` signs."""
    signature: bytes | None
    """Detached CMS, DER."""
    submission_id: str
    amends: str | None
    """Id of the submission that this one corrects."""
    at: int
    amends_receipt: str | None = None
    """The filing service's receipt for that submission."""


@dataclass(frozen=True)
class Body:
    """The exact bytes of a submission."""

    content: bytes
    content_type: str


@dataclass(frozen=True)
class Answer:
    """The outcome of one transmission or status query."""

    outcome: Outcome
    message: str = ""
    receipt: str | None = None
    rows: Sequence[RejectedRow] = ()
    http_status: int | None = None
    request: str = ""
    response: str = ""


@dataclass(frozen=True)
class Envelope:
    """The parameters of a SmartBridge SOAP envelope around the body."""

    service_id: str
    sender: str
    namespace: str = "http://bip.bee.kz/SyncChannel/v10/Types"


@dataclass(frozen=True)
class BodyMap:
    """How the body is made: from a template, as JSON by mapping (`"document.period" = "month"`), or as JSON with all fields."""

    fields: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    content_type: str = "application/json"
    envelope: Envelope | None = None


@dataclass(frozen=True)
class AnswerMap:
    """Where an answer's values are, as dotted paths into its JSON or XML (`result.status`; numbers index lists), and what its status words mean."""

    state: str = "status"
    receipt: str = "receipt"
    message: str = "message"
    rows: str = "rows"
    row_number: str = "n"
    row_message: str = "message"
    accepted: tuple[str, ...] = ("accepted",)
    received: tuple[str, ...] = ("received",)
    rejected: tuple[str, ...] = ("rejected",)
    duplicate: tuple[str, ...] = ("duplicate",)
    missing: tuple[str, ...] = ("unknown", "not-found")
    duplicate_statuses: tuple[int, ...] = (409,)
    missing_statuses: tuple[int, ...] = (404, 410)
    has_receipts: bool = True


def submission_id_of(pool: str, month: str, version: int, attempt: int, manifest_digest: str) -> str:
    """The submission's id, a UUID computed from its content: making the same submission again gives the same id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:esep:submission:{pool}:{month}:{version}:{attempt}:{manifest_digest}"))


# --- bytes out -------------------------------------------------------------------------------------------------------


def template_fields(form: Form) -> dict[str, Any]:
    """The fields that a mapping or a template may name."""
    return {
        "submission_id": form.submission_id,
        "amends": form.amends,
        "amends_receipt": form.amends_receipt,
        "pool": form.pool,
        "month": form.month,
        "version": form.version,
        "digest": form.digest,
        "at": datetime.fromtimestamp(form.at, UTC).isoformat().replace("+00:00", "Z"),
        "report": json.loads(form.report),
        "report_base64": base64.b64encode(form.report).decode(),
        "signature": base64.b64encode(form.signature).decode() if form.signature is not None else None,
    }


def compose(form: Form, how: BodyMap) -> Body:
    """The body's exact bytes. Raises FilingError that names the unknown path, or the line of the template."""
    content = template_fields(form)
    if how.template is not None:
        import jinja2.sandbox  # needed only with filing.template_file

        try:
            environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=_is_xml(how.content_type))
            made = environment.from_string(how.template).render(content)
        except jinja2.TemplateError as error:
            line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise FilingError(
                message("the body's template{line}: {error}: correct filing.template_file", line=line, error=text_of(error))
            ) from error
    elif how.fields:
        tree: dict[str, Any] = {}
        for place, source in how.fields.items():
            _put(tree, place, source[1:] if source.startswith("=") else _want(content, source))
        made = json.dumps(tree, ensure_ascii=False)
    else:
        made = json.dumps({name: value for name, value in content.items() if name != "report"}, ensure_ascii=False)
    if how.envelope is not None:
        return Body(_enveloped(made, form, how.envelope, content["at"]).encode(), "text/xml; charset=utf-8")
    return Body(made.encode(), how.content_type)


def _is_xml(content_type: str) -> bool:
    return "xml" in content_type


def _want(content: Mapping[str, Any], path: str) -> Any:
    found, value = look_up(content, path)
    if not found:
        raise FilingError(
            message(
                "filing.fields: there is no {path} to file: use {content}, or report.header.name and the like",
                path=repr(path),
                content=", ".join(content),
            )
        )
    return value


def _put(tree: dict[str, Any], place: str, value: Any) -> None:
    *folders, name = place.split(".")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[name] = value


def _enveloped(made: str, form: Form, envelope: Envelope, at: str) -> str:
    """SmartBridge's SendMessage: requestInfo {messageId, serviceId, messageDate, sender}, requestData with the body as text."""
    data = html.escape(made, quote=False)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:typ="{html.escape(envelope.namespace)}">'
        "<soapenv:Body><typ:SendMessage><request><requestInfo>"
        f"<messageId>{form.submission_id}</messageId><serviceId>{html.escape(envelope.service_id)}</serviceId>"
        f"<messageDate>{at}</messageDate><sender><senderId>{html.escape(envelope.sender)}</senderId></sender>"
        f"</requestInfo><requestData><data>{data}</data></requestData></request></typ:SendMessage></soapenv:Body></soapenv:Envelope>"
    )


# --- answers in ------------------------------------------------------------------------------------------------------


def interpret(how: AnswerMap, *, asked: str, status: int, content: bytes) -> Answer:  # noqa: PLR0911 - one return for each meaning, in order of precedence
    """What an HTTP answer means. Anything that is not clearly one of the known answers is `unknown`: it is asked about again.

    An acceptance without a receipt counts as `received` only. `missing` requires an answer to a status query that parses and has a configured word
    for it: an HTTP status alone, an empty body, or the page of a proxy in between (HTTP 404 of an ingress) does not prove that nothing arrived.
    """
    tree = read_tree(content)
    word = str(_text(tree, how.state) or "").strip().lower()
    receipt = _receipt(tree, how.receipt)
    text = _words(tree, how.message)[:1000]
    rows = _rows(tree, how)

    def answer(outcome: Outcome, said: str = "") -> Answer:
        return Answer(outcome, text or said, receipt, rows, status)

    if status in how.duplicate_statuses or word in how.duplicate:
        return answer("duplicate", "the filing service has it already")
    if asked == "status" and word and word in how.missing and (200 <= status < 300 or status in how.missing_statuses):
        return answer("missing", "the filing service has no such submission")
    if word in how.rejected and status < 500:
        return answer("rejected", "" if rows else excerpt(content))
    if 200 <= status < 300:
        if rows:
            return answer("rejected")
        if word in how.accepted:
            return answer("accepted") if receipt or not how.has_receipts else answer("received", "accepted, but no receipt came with it")
        if word in how.received:
            return answer("received")
        return answer("unknown", f"the answer has no known word at {how.state!r}: {word[:80] or excerpt(content)[:80]!r}")
    said = f"HTTP {status}: {excerpt(content)}".removesuffix(": ")
    if asked == "send" and 400 <= status < 500 and status not in (408, 425, 429):
        return answer("refused", said)
    return answer("unknown", said)


def read_tree(content: bytes) -> Any:
    """JSON as it is; XML as nested names without namespaces (repeated ones as a list); None for anything else.

    XML with a document type, and so with entities, is never read, in any encoding; nor is anything nested deeper than `MAX_DEPTH`.
    """
    if _is_shallow(content):
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            pass
    target = _XmlTree()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = target.doctype, target.start
    parser.EndElementHandler, parser.CharacterDataHandler = target.end, target.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError):
        return None
    return target.found


def _is_shallow(content: bytes) -> bool:
    """Whether brackets outside strings nest at most `MAX_DEPTH` deep: counted before a recursive parser runs."""
    depth = 0
    for found in _BRACKETS.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            return False
    return True


class _XmlTree:
    """Builds nested dictionaries from an XML document. Raises ValueError for a document type and for deep nesting."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._open: list[tuple[dict[str, list[Any]], list[str]]] = [({}, [])]

    def doctype(self, *_: object) -> None:
        raise ValueError(message("a document type"))

    def start(self, _name: str, _attributes: object) -> None:
        if len(self._open) > MAX_DEPTH:
            raise ValueError(message("nested too deep"))
        self._open.append(({}, []))

    def data(self, text: str) -> None:
        self._open[-1][1].append(text)

    def end(self, name: str) -> None:
        children, texts = self._open.pop()
        told: Any = {child: values if len(values) > 1 else values[0] for child, values in children.items()} or "".join(texts).strip()
        self._open[-1][0].setdefault(_local(name), []).append(told)
        if len(self._open) == 1:
            self.found = {_local(name): told}


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def look_up(tree: Any, path: str) -> tuple[bool, Any]:
    """The value at a dotted path, and whether there is one; numbers count list items from 0."""
    for name in path.split("."):
        if isinstance(tree, Mapping) and name in tree:
            tree = tree[name]
        elif isinstance(tree, list) and name.isdecimal() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            return False, None
    return True, tree


def _text(tree: Any, path: str) -> str | None:
    found, value = look_up(tree, path) if path else (False, None)
    return str(value) if found and isinstance(value, str | int) and str(value) != "" else None


def _receipt(tree: Any, path: str) -> str | None:
    """The receipt at a path: a text that says something, or a number. `false`, `null`, 0 and the like are none, whether JSON or XML says them."""
    found, value = look_up(tree, path) if path else (False, None)
    if not found or isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if is_receipt(text) else None


def is_receipt(text: str) -> bool:
    """Whether a text says something as a receipt: `false`, `null`, `0`, `none` and the like do not."""
    return text.lower() not in _NO_RECEIPT and len(text) <= MOST_RECEIPT_CHARACTERS


def _words(tree: Any, path: str) -> str:
    """The value at a path as text for people: a text, a list of texts, or texts by name."""
    found, value = look_up(tree, path) if path else (False, None)
    if not found or value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_words(value, name)}" for name in value)
    if isinstance(value, list):
        return "; ".join(_words(value, str(place)) for place in range(len(value)))
    return str(value)


def excerpt(content: bytes) -> str:
    """The beginning of an answer without tags, on one line: shown if the answer has no message at the configured path."""
    text = html.unescape(re.sub(r"<[^<>]*>", " ", content[:4096].decode("utf-8", "replace")))
    return " ".join(text.split())[:300]


def _rows(tree: Any, how: AnswerMap) -> list[RejectedRow]:
    found, value = look_up(tree, how.rows) if how.rows else (False, None)
    if not found or not value:
        return []
    items = value if isinstance(value, list) else [value]
    rows = [
        RejectedRow(n=(_text(item, how.row_number) or "?")[:100], message=(_text(item, how.row_message) or str(item)[:500])[:500])
        for item in items[:MAX_ROWS]
    ]
    more = len(items) - MAX_ROWS
    return [*rows, RejectedRow(n="…", message=f"and {more} more rows: ask the filing service for them")] if more > 0 else rows


def format_answer(status: int, reason: str, headers: Sequence[tuple[str, str]], content: bytes, hide: SecretMask) -> str:
    """An answer for the log, verbatim but for cookies and our own secrets: its head up to 64 KiB, its body up to 64 KiB."""
    hidden = ("set-cookie", "authorization", "proxy-authorization")
    head = [f"HTTP {status} {reason}".rstrip(), *(f"{name}: {'***' if name.lower() in hidden else value}" for name, value in headers)]
    # Hidden before it is cut: the half of a secret that a cut leaves would be found by no pattern.
    window = content[: KEPT_BYTES + hide.longest].decode("utf-8", "backslashreplace")
    body = hide.beginning(window, len(content[:KEPT_BYTES].decode("utf-8", "backslashreplace")))
    cut = f"\n… {len(content) - KEPT_BYTES} more bytes" if len(content) > KEPT_BYTES else ""
    return hide.beginning("\n".join(head), KEPT_BYTES) + "\n\n" + body + cut
