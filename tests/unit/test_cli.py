"""The command line: what each command prints, and its exit code."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from b2bua.cli import app
from b2bua.resources import config_file
from b2bua.settings import Settings
from b2bua.tones_view import cadence_plot
from media.plans import TonePlan, load_tone_plans
from media.tones import ringback_loop

pytestmark = pytest.mark.unit

GOOD = '<Response><Dial action="/next"><Number>+14155550100</Number></Dial></Response>'


@pytest.fixture(autouse=True)
def _wide_terminal_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in os.environ:
        if name.startswith("B2BUA_"):
            monkeypatch.delenv(name)


def b2bua(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class TestTones:
    def test_without_code_lists_all(self) -> None:
        result = b2bua("tones")
        assert result.exit_code == 0
        for code in load_tone_plans(config_file("ringtones.csv")):
            assert f"│ {code} " in result.stdout

    def test_with_code_shows_facts_and_cadence(self) -> None:
        result = b2bua("tones", "in")
        assert result.exit_code == 0
        assert "400 Hz" in result.stdout
        assert "AM 25 Hz" in result.stdout
        assert "████··████····················\n0s        1s        2s        3s\n" in result.stdout

    def test_writes_the_loop(self, tmp_path: Path) -> None:
        result = b2bua("tones", "uk", "--out", tmp_path / "uk.wav")
        assert result.exit_code == 0
        written, rate = soundfile.read(tmp_path / "uk.wav", dtype="int16")
        assert rate == 8000
        plan = load_tone_plans(config_file("ringtones.csv"))["uk"]
        assert np.array_equal(written, ringback_loop(plan, 8000))
        assert "uk.wav" in result.stdout

    def test_an_unknown_code_names_the_nearest(self) -> None:
        result = b2bua("tones", "us-odl")
        assert result.exit_code == 2
        assert "did you mean us-old?" in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("--out", "x.wav"), "needs the code"),
            (("us", "--out", "x.mp3"), "not a .wav"),
            (("us", "--out", "/nowhere/x.wav"), "cannot be written"),
        ],
    )
    def test_what_cannot_be_written(self, arguments: tuple[str, ...], complaint: str) -> None:
        result = b2bua("tones", *arguments)
        assert result.exit_code == 2
        assert complaint in result.stderr

    def test_plot_of_an_unbroken_tone(self) -> None:
        assert cadence_plot(TonePlan("zz", (425,), None, ())) == "██████████\n0s        1s"


class TestCheck:
    def test_the_embedded_default_is_clean(self) -> None:
        result = b2bua("check")
        assert (result.stdout, result.exit_code) == ("", 0)

    def test_errors_of_the_configuration(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text('[sip]\ndomian = "x"\n[workers]\nidle = -1\n')
        result = b2bua("check", "--config", config)
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            f"{config}:2:1: error 0 sip.domian: unknown key; did you mean sip.domain?",
            f"{config}:4:1: error 0 workers.idle: should be greater than or equal to 0, not -1",
        ]

    def test_files_that_are_named_but_not_there(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text(
            '[sip]\nlisten = ["tls://127.0.0.1:0"]\ntls_certificate = "c.pem"\ntls_key = "b.toml"\n'
            '[[numbers]]\nmatch = "1"\nvoice_url = "http://h"\n[[numbers]]\nmatch = "*"\ntwiml = "h.xml"\n'
        )
        result = b2bua("check", "--config", config)
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            f"{config}:3:1: error 0 sip.tls_certificate: there is no file {tmp_path}/c.pem",
            f"{config}:10:1: error 0 numbers[1].twiml: there is no file {tmp_path}/h.xml",
        ]

    def test_public_ports_that_leave_none_for_the_node_itself(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text("[rtp]\nports = [1024, 65500]\n")
        result = b2bua("check", "--config", config)
        text = (
            "rtp.ports and the system's ephemeral ports (net.ipv4.ip_local_port_range) leave too few others"
        )
        assert result.exit_code == 1
        assert result.stdout == f"{config}:2:1: error 0 rtp.ports: {text}\n"

    def test_a_number_that_is_there_twice(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        number = '[[numbers]]\nmatch = "{}"\nvoice_url = "http://h"\n'
        config.write_text("".join(map(number.format, ("*", "+14155550100", "+1-415-555-0100"))))
        result = b2bua("check", "--config", config)
        text = "numbers[2].match: is the same number as numbers[1], which counts"
        assert (result.exit_code, result.stdout) == (0, f"{config}:8:1: warning 0 {text}\n")

    def test_documents_of_numbers_are_checked_too(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text('[[numbers]]\nmatch = "*"\ntwiml = "h.xml"\n')
        (tmp_path / "h.xml").write_text("<Response><Dial")
        result = b2bua("check", "--config", config)
        assert result.exit_code == 1
        assert result.stdout.startswith(f"{tmp_path}/h.xml:1:")
        assert ": error 12100 " in result.stdout

    def test_a_warning_alone_is_no_failure(self, tmp_path: Path) -> None:
        document = tmp_path / "w.xml"
        document.write_text(GOOD.replace("<Dial ", '<Dial timeout="soon" '))
        result = b2bua("check", document)
        assert result.exit_code == 0
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"{document}:1:")
        assert ": warning 13212 " in line

    def test_a_document_that_can_do_nothing_is_a_failure(self, tmp_path: Path) -> None:
        document = tmp_path / "connect.xml"
        document.write_text("<Response>\n<Connect><Stream/></Connect></Response>")
        result = b2bua("check", document)
        said = "error 12200 schema: Connect is known, but not done here"
        assert (result.exit_code, result.stdout) == (1, f"{document}:2:1: {said}\n")

    def test_what_has_no_effect_yet_is_warned_of_in_its_place(self, tmp_path: Path) -> None:
        document = tmp_path / "later.xml"
        document.write_text(
            '<Response>\n<Dial><Conference eventCallbackUrl="/events">room</Conference></Dial>\n'
            '<Dial timeout="soon"><Number>+14155550100</Number></Dial></Response>'
        )
        result = b2bua("check", document)
        assert result.exit_code == 0
        first, second = result.stdout.splitlines()
        assert first.startswith(f"{document}:2:") and "no effect yet" in first
        assert first.partition(": ")[2].startswith("warning 12200 ")
        assert second.startswith(f"{document}:3:") and ": warning 13212 " in second

    def test_a_clean_document(self, tmp_path: Path) -> None:
        document = tmp_path / "good.xml"
        document.write_text(GOOD)
        result = b2bua("check", document)
        assert (result.stdout, result.exit_code) == ("", 0)

    def test_what_could_not_be_dialled(self, tmp_path: Path) -> None:
        document = tmp_path / "dial.xml"
        document.write_text(
            "<Response><Dial>\n<Sip>sip:a b@x</Sip>\n<Sip>sip:a@x.example?Foo=1</Sip>\n"
            "<Number>nobody</Number>\n<Number>+1</Number></Dial></Response>"
        )
        result = b2bua("check", document)
        assert result.exit_code == 1  # a URI that is none is an error
        found = [line.removeprefix(f"{document}:").split()[:3] for line in result.stdout.splitlines()]
        assert [(int(place.split(":")[0]), int(number)) for place, _, number in found] == [
            (2, 13243),
            (3, 13252),
            (4, 13223),
            (5, 13224),
        ]

    def test_whom_the_configuration_does_not_let_one_dial(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text('[[trunks]]\nname = "uk"\nuri = "sip:127.0.0.1"\nprefixes = ["+44"]\n')
        document = tmp_path / "good.xml"
        document.write_text(GOOD)
        result = b2bua("check", "--config", config, document)
        assert ": warning 13224 no trunk takes this number" in result.stdout

    def test_a_client_that_is_no_user_gets_a_warning(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text('[[users]]\nname = "ann"\npassword = "x"\n')
        document = tmp_path / "client.xml"
        document.write_text(
            "<Response><Dial>\n<Client>ann</Client>\n<Client>carol</Client></Dial></Response>"
        )
        result = b2bua("check", "--config", config, document)
        (line,) = result.stdout.splitlines()
        assert line.startswith(f"{document}:3:") and ": warning 12200 no user of this node" in line
        assert result.exit_code == 0
        assert b2bua("check", document).stdout == ""  # the document alone has no fault

    def test_a_summary_goes_to_stderr(self, tmp_path: Path) -> None:
        assert b2bua("check").stderr == "no errors, no warnings\n"
        document = tmp_path / "w.xml"
        document.write_text(GOOD.replace("<Dial ", '<Dial timeout="soon" '))
        assert b2bua("check", document, tmp_path / "absent.xml").stderr == "1 error, 1 warning\n"
        assert b2bua("check", document, document).stderr == "0 errors, 1 warning\n"

    @pytest.mark.parametrize(
        ("verb", "finding"),
        [
            ('<Dial action="ftp://h/x"><Number>+14155550100</Number></Dial>', "error 11100"),
            ('<Dial action="www.example.com"><Number>+14155550100</Number></Dial>', "warning 11100"),
            ('<Dial><Sip url="http://">sip:a@192.0.2.1</Sip></Dial>', "error 11100"),
            ("<Redirect>ftp://h/x</Redirect>", "error 11100"),
            ("<Gather><Play>ftp://h/x</Play></Gather>", "error 11100"),
            ("<Refer><Sip>mailto:a</Sip></Refer>", "error 13243"),
        ],
    )
    def test_addresses_that_cannot_be_requested(self, tmp_path: Path, verb: str, finding: str) -> None:
        document = tmp_path / "urls.xml"
        document.write_text(f"<Response>\n  {verb}</Response>")
        (line,) = b2bua("check", document).stdout.splitlines()
        assert line.startswith(f"{document}:2:") and f": {finding} " in line

    def test_a_relative_address_needs_one_that_the_document_is_at(self, tmp_path: Path) -> None:
        config = tmp_path / "b.toml"
        config.write_text(
            '[[numbers]]\nmatch = "1"\ntwiml = "a.xml"\n'
            '[[numbers]]\nmatch = "2"\ntwiml = "b.xml"\nvoice_url = "http://h/"\n'
        )
        twiml = "<Response><Play>beside.wav</Play><Redirect>/next</Redirect></Response>"
        for name in ("a.xml", "b.xml"):
            (tmp_path / name).write_text(twiml)
        (line,) = b2bua("check", "--config", config).stdout.splitlines()
        assert line.startswith(f"{tmp_path}/a.xml:1:34: error 11100 ")

    def test_a_wrong_root(self, tmp_path: Path) -> None:
        document = tmp_path / "root.xml"
        document.write_text("<Reply/>")
        result = b2bua("check", document)
        assert result.exit_code == 1
        assert ": error 12102 " in result.stdout

    def test_what_cannot_be_read_is_exit_code_2(self, tmp_path: Path) -> None:
        result = b2bua("check", tmp_path / "absent.xml")
        assert result.exit_code == 2
        assert (
            result.stdout == f"{tmp_path}/absent.xml:0:0: error 0 cannot be read: No such file or directory\n"
        )
        result = b2bua("check", "--config", tmp_path / "absent.toml")
        assert result.exit_code == 2
        assert "absent.toml:0:0: error 0 cannot be read" in result.stdout

    def test_the_environment_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("B2BUA_WORKERS__IDLE", "many")
        result = b2bua("check")
        assert result.exit_code == 1
        assert result.stdout.startswith("B2BUA_WORKERS__IDLE:0:0: error 0 workers.idle: ")


class TestOthers:
    """Commands implemented elsewhere get the arguments, and their result is the exit code."""

    @pytest.fixture
    def called(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
        calls: list[Any] = []
        for name, function, code in (("app", "serve", 0), ("doctor", "doctor", 1), ("demo", "demo", 0)):
            module = ModuleType(f"b2bua.{name}")

            def work(*arguments: Any, code: int = code) -> int:
                calls.extend(arguments)
                return code

            setattr(module, function, work)
            monkeypatch.setitem(sys.modules, f"b2bua.{name}", module)
        yield calls

    def test_serve(self, called: list[Any], tmp_path: Path) -> None:
        assert b2bua("serve").exit_code == 0
        assert b2bua("serve", "--config", tmp_path / "x", "--log-format", "json").exit_code == 0
        assert called == [None, "console", tmp_path / "x", "json"]

    def test_serve_knows_two_log_formats(self, called: list[Any]) -> None:
        assert b2bua("serve", "--log-format", "xml").exit_code == 2
        assert called == []

    def test_doctor(self, called: list[Any]) -> None:
        assert b2bua("doctor").exit_code == 1
        (settings,) = called
        assert isinstance(settings, Settings)
        assert settings.users[0].name == "alice"

    def test_doctor_with_a_wrong_configuration(self, called: list[Any], tmp_path: Path) -> None:
        (tmp_path / "b.toml").write_text("[spi]\n")
        result = b2bua("doctor", "--config", tmp_path / "b.toml")
        assert result.exit_code == 2
        assert "did you mean sip?" in result.stderr
        assert b2bua("doctor", "--config", tmp_path / "absent.toml").exit_code == 2
        assert called == []

    def test_demo(self, called: list[Any], tmp_path: Path) -> None:
        assert b2bua("demo", "--out", tmp_path).exit_code == 0
        assert called == [tmp_path]


def test_help_names_every_command() -> None:
    result = b2bua("--help")
    assert result.exit_code == 0
    for command in ("serve", "check", "doctor", "demo", "tones"):
        assert command in result.stdout


def test_an_unknown_command_is_exit_code_2() -> None:
    assert b2bua("sevre").exit_code == 2
