"""``b2bua check``: everything that can be found wrong before a call comes.

The configuration, the files it names, and TwiML documents: those given and those of its numbers. Nothing is
started or connected to.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from b2bua.core.errors import TwimlError
from b2bua.settings import Settings, read_settings
from b2bua.settings_errors import FileFinding, Origin, SettingsError, UnreadableSettingsError
from b2bua.toml_positions import KeyPath
from b2bua.twiml.parse import not_yet, parse

__all__ = ["CheckReport", "check"]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    findings: tuple[FileFinding, ...]
    """Configuration first, then document by document, each in the order of its text."""
    unreadable: bool
    """A file that was to be checked could not be read."""

    @property
    def exit_code(self) -> int:
        """0 clean or warnings only, 1 errors, 2 unreadable."""
        if self.unreadable:
            return 2
        return int(any(finding.severity == "error" for finding in self.findings))


def check(
    config: Path | None, documents: Sequence[Path] = (), environ: Mapping[str, str] = os.environ
) -> CheckReport:
    """Check the configuration and the TwiML ``documents``.

    Args:
        config: a TOML file; None: the embedded default.
        documents: paths of TwiML files.
        environ: whose ``B2BUA_…`` variables count.
    """
    findings: list[FileFinding] = []
    unreadable = False
    wanted = list(documents)
    try:
        settings, origin = read_settings(config, environ)
    except SettingsError as err:
        findings += err.findings
        unreadable = isinstance(err, UnreadableSettingsError)
    else:
        findings += _missing_files(settings, origin)
        wanted += [each.twiml for each in settings.numbers if each.twiml and each.twiml.is_file()]
    for document in dict.fromkeys(wanted):
        try:
            body = document.read_bytes()
        except OSError as err:
            unreadable = True
            findings.append(FileFinding(file=str(document), text=f"cannot be read: {err.strerror or err}"))
        else:
            findings += _document_findings(document, body)
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


def _document_findings(document: Path, body: bytes) -> Iterator[FileFinding]:
    try:
        parsed = parse(body)
    except TwimlError as err:
        yield FileFinding(
            file=str(document), line=err.line, column=err.column, number=err.number, text=err.text
        )
        return
    found = [*parsed.findings, *not_yet(parsed)]
    for finding in sorted(found, key=lambda each: (each.line, each.column)):
        yield FileFinding(
            file=str(document),
            line=finding.line,
            column=finding.column,
            severity=finding.severity,
            number=finding.number,
            text=finding.text,
        )
