"""``b2bua check``: finds every error that can be found before a call arrives.

It checks the configuration, the files it names, and TwiML documents: those given and those of its numbers. It
starts nothing and connects to nothing.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from b2bua.calls.caller import Caller
from b2bua.calls.context import SessionContext
from b2bua.calls.targets import plan_dial
from b2bua.core.errors import ConfigError, TwimlError
from b2bua.core.ids import CallSid, SipCallId
from b2bua.node.ids import RandomIds
from b2bua.node.media_net import divide_ports, ephemeral_ports
from b2bua.settings import Settings, TrunkSettings, read_settings
from b2bua.settings_errors import FileFinding, Origin, SettingsError, UnreadableSettingsError
from b2bua.toml_positions import KeyPath
from b2bua.twiml import verbs
from b2bua.twiml.addresses import address_findings
from b2bua.twiml.parse import not_yet, parse
from b2bua.web.api.number_book import NumberBook, canonical

__all__ = ["CheckReport", "check"]

_SOME_URL = "http://localhost/"
_MOST_TARGETS = 1000
"""More than a document can dial: a node's limit is not an error of the document."""
_CALL = CallSid("")
_CALLER = Caller(
    number="",
    user="",
    name="",
    anonymous=False,
    asserted="",
    called="",
    called_host="",
    forwarded_from=None,
    sip_call_id=SipCallId(""),
    source_ip="",
    headers=(),
)
"""A placeholder: only the document itself is checked."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check."""

    findings: tuple[FileFinding, ...]
    """Configuration first, then document by document, each in the order of its text."""
    unreadable: bool
    """Whether a file to be checked could not be read."""

    @property
    def exit_code(self) -> int:
        """0: clean or only warnings, 1: errors, 2: a file was unreadable."""
        if self.unreadable:
            return 2
        return int(any(finding.severity == "error" for finding in self.findings))

    @property
    def summary(self) -> str:
        """The number of errors and warnings, for people."""
        errors = sum(finding.severity == "error" for finding in self.findings)
        warnings = len(self.findings) - errors
        if not self.findings:
            return "no errors, no warnings"
        return f"{errors} error{'s'[: errors != 1]}, {warnings} warning{'s'[: warnings != 1]}"


def check(
    config: Path | None, documents: Sequence[Path] = (), environ: Mapping[str, str] = os.environ
) -> CheckReport:
    """Check the configuration and the TwiML ``documents``.

    Args:
        config: a TOML file; None: the embedded default.
        documents: paths of TwiML files.
        environ: the environment, whose ``B2BUA_…`` variables apply.
    """
    findings: list[FileFinding] = []
    unreadable = False
    # A document fetched by a request has a URL, which is unknown here.
    wanted: dict[Path, str | None] = dict.fromkeys(documents, _SOME_URL)
    context: SessionContext | None = None
    try:
        settings, origin = read_settings(config, environ)
    except SettingsError as err:
        findings += err.findings
        unreadable = isinstance(err, UnreadableSettingsError)
    else:
        findings += _missing_files(settings, origin)
        findings += _same_numbers(settings, origin)
        findings += _numbers_never_reached(settings, origin)
        findings += _media_ports(settings, origin)
        for each in settings.numbers:
            if each.twiml and each.twiml.is_file():
                wanted[each.twiml] = each.voice_url or None
        context = (
            _planning(settings) if config is not None else _planning(_any_trunk(settings), any_user=True)
        )
    for document, base_url in wanted.items():
        try:
            body = document.read_bytes()
        except OSError as err:
            unreadable = True
            findings.append(FileFinding(file=str(document), text=f"cannot be read: {err.strerror or err}"))
        else:
            findings += _document_findings(document, body, context, base_url)
    return CheckReport(tuple(findings), unreadable)


def _missing_files(settings: Settings, origin: Origin) -> Iterator[FileFinding]:
    named: list[tuple[KeyPath, Path | None]] = [
        (("sip", "tls_certificate"), settings.sip.tls_certificate),
        (("sip", "tls_key"), settings.sip.tls_key),
        (("sip", "tls_ca"), settings.sip.tls_ca),
    ]
    named += [(("numbers", index, "twiml"), each.twiml) for index, each in enumerate(settings.numbers)]
    for key, path in named:
        if path is not None and not path.is_file():
            yield origin.finding(key, f"there is no file {path}")


def _same_numbers(settings: Settings, origin: Origin) -> Iterator[FileFinding]:
    first: dict[tuple[str, str, str], int] = {}
    for index, each in enumerate(settings.numbers):
        before = first.setdefault((canonical(each.match), each.trunk, each.user), index)
        if before != index:
            text = f"is the same number as numbers[{before}], which counts"
            yield origin.finding(("numbers", index, "match"), text, severity="warning")


def _numbers_never_reached(settings: Settings, origin: Origin) -> Iterator[FileFinding]:
    """Find patterns behind one that catches everything; exact numbers count before any pattern."""
    catcher: int | None = None
    for index, each in enumerate(settings.numbers):
        if catcher is not None and any(sign in each.match for sign in "*?["):
            text = f"is never reached: numbers[{catcher}] before it matches every call"
            yield origin.finding(("numbers", index, "match"), text, severity="warning")
        elif each.match == "*" and not each.trunk and not each.user:
            catcher = index


def _media_ports(settings: Settings, origin: Origin) -> Iterator[FileFinding]:
    """Check that ports are left for the node's own use on this machine."""
    try:
        divide_ports(settings.rtp.ports, ephemeral_ports(), settings.workers.max)
    except ConfigError as error:
        yield origin.finding(("rtp", "ports"), str(error))


def _planning(settings: Settings, *, any_user: bool = False) -> SessionContext:
    """Return a context for planning calls that are never dialled; its users count as registered.

    ``any_user``: without a configuration, an unknown user is not an error of the document.
    """
    users = {each.name for each in settings.users}
    return SessionContext(
        settings=settings,
        account_sid="",
        script=None,
        ids=RandomIds(),
        most_targets=_MOST_TARGETS,
        owns_number=NumberBook(settings.numbers).owns,
        contacts=lambda user: (f"sip:{quote(user)}@127.0.0.1",) if any_user or user in users else (),
    )


def _any_trunk(settings: Settings) -> Settings:
    """Add a trunk that takes any number and caller id.

    Without a configuration, unroutable numbers and unverified caller ids are not errors of the document.
    """
    trunk = TrunkSettings(name=settings.dial.trunk or "any", uri="sip:127.0.0.1")
    dial = settings.dial.model_copy(update={"trunk": trunk.name, "caller_id_policy": "any"})
    return settings.model_copy(update={"dial": dial, "trunks": (trunk,)})


def _document_findings(
    document: Path, body: bytes, context: SessionContext | None, base_url: str | None
) -> Iterator[FileFinding]:
    try:
        parsed = parse(body)
    except TwimlError as err:
        yield FileFinding(
            file=str(document), line=err.line, column=err.column, number=err.number, text=err.text
        )
        return
    found = [*parsed.findings, *not_yet(parsed), *address_findings(parsed.response, base_url)]
    if context is not None:
        dials = (verb for verb in parsed.response.verbs if isinstance(verb, verbs.Dial))
        found += [finding for dial in dials for finding in plan_dial(dial, _CALL, _CALLER, context).findings]
    for finding in sorted(found, key=lambda each: (each.line, each.column)):
        yield FileFinding(
            file=str(document),
            line=finding.line,
            column=finding.column,
            severity=finding.severity,
            number=finding.number,
            text=finding.text,
        )
