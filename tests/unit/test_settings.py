"""The configuration: defaults, bounds, the environment, and messages about mistakes."""

import ipaddress
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from b2bua.core.errors import ConfigError
from b2bua.resources import config_file
from b2bua.settings import (
    HostPort,
    HttpSettings,
    Listen,
    SecuritySettings,
    Settings,
    SipSettings,
    load_settings,
)
from b2bua.settings_errors import FileFinding, SettingsError, UnreadableSettingsError

pytestmark = pytest.mark.unit

TRUNK = '[[trunks]]\nname = "pbx"\nuri = "sip:192.0.2.10"\n'


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "b2bua.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ)


def complaints(tmp_path: Path, text: str, **environ: str) -> tuple[FileFinding, ...]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, **environ)
    return caught.value.findings


def complaint(tmp_path: Path, text: str, **environ: str) -> str:
    (finding,) = complaints(tmp_path, text, **environ)
    return f"{finding.line}:{finding.column} {finding.text}"


def example_values() -> dict[str, dict[str, Any]]:
    """The values that the example shows, commented out or not, by section."""
    shown: dict[str, dict[str, Any]] = {}
    for line in config_file("b2bua.example.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = shown.setdefault(line.split("]")[0].strip("["), {})
        elif " = " in line:
            section |= tomllib.loads(line.removeprefix("# "))
    return shown


class TestWithoutFile:
    SETTINGS = load_settings(None, {})

    def test_listens_on_this_machine_only(self) -> None:
        assert self.SETTINGS.sip.listen == (
            Listen("udp", "127.0.0.1", 5060),
            Listen("tcp", "127.0.0.1", 5060),
        )
        assert self.SETTINGS.sip.advertise == self.SETTINGS.sip.domain == "127.0.0.1"
        assert self.SETTINGS.rtp.bind == self.SETTINGS.rtp_address == "127.0.0.1"
        assert self.SETTINGS.http.listen == HostPort("127.0.0.1", 8080)

    def test_has_alice_and_bob(self) -> None:
        assert [user.name for user in self.SETTINGS.users] == ["alice", "bob"]

    def test_has_no_numbers_so_that_the_default_plan_counts(self) -> None:
        assert self.SETTINGS.numbers == ()

    def test_data_is_kept_where_it_was_started(self) -> None:
        assert self.SETTINGS.storage.database == f"sqlite:///{Path.cwd()}/b2bua.db"
        assert self.SETTINGS.storage.recordings == Path.cwd() / "recordings"


class TestDefaults:
    def test_of_an_empty_file(self, tmp_path: Path) -> None:
        settings = load(tmp_path, "")
        assert settings.sip.listen[0] == Listen("udp", "127.0.0.1", 5060)
        assert settings.node.drain_s == 30
        assert settings.account.sid is settings.account.auth_token is None
        assert settings.rtp.ports == (10000, 19999)
        assert settings.rtp.codecs == ("PCMU", "PCMA", "G722")
        assert (settings.rtp.bind, settings.rtp.srtp) == ("0.0.0.0", "off")
        assert (settings.workers.idle, settings.workers.max) == (4, 100)
        assert settings.http.public_url == "http://127.0.0.1:8080"
        assert settings.dial.timeout_buffer_s == 5.0
        assert (settings.dial.trunk, settings.dial.country, settings.dial.ringtone) == ("", "US", "us")
        assert settings.dial.caller_id_policy == "verified"
        assert settings.security.allow == (ipaddress.ip_network("127.0.0.0/8"),)
        assert (settings.security.invite_rate_per_s, settings.security.max_calls) == (50, 500)
        assert settings.trunks == settings.users == settings.numbers == ()

    def test_the_example_has_every_key(self) -> None:
        shown = example_values()
        for section_name, section in Settings.model_fields.items():
            model: Any = section.annotation
            model = getattr(model, "__args__", (model,))[0]
            keys = {field.alias or name for name, field in model.model_fields.items()}
            assert set(shown[section_name]) == keys, section_name

    def test_the_example_is_valid(self) -> None:
        settings = load_settings(config_file("b2bua.example.toml"), {})
        assert settings.sip.domain == "sip.example.com"
        assert settings.trunks[0].match == (ipaddress.ip_network("192.0.2.10/32"),)

    def test_of_the_domain_is_the_advertised_address(self) -> None:
        assert SipSettings(listen=("udp://192.0.2.1:5060",)).domain == "192.0.2.1"  # type: ignore[arg-type]
        assert SipSettings(advertise="203.0.113.7").domain == "203.0.113.7"

    def test_media_address_is_that_of_signalling(self, tmp_path: Path) -> None:
        assert load(tmp_path, '[sip]\nadvertise = "203.0.113.7"').rtp_address == "203.0.113.7"
        both = '[sip]\nadvertise = "203.0.113.7"\n[rtp]\nadvertise = "203.0.113.8"'
        assert load(tmp_path, both).rtp_address == "203.0.113.8"

    def test_public_url_follows_the_listening_address(self, tmp_path: Path) -> None:
        assert load(tmp_path, '[http]\nlisten = "127.0.0.1:81"').http.public_url == "http://127.0.0.1:81"
        assert load(tmp_path, '[http]\nlisten = "[::1]:81"').http.public_url == "http://[::1]:81"
        assert load(tmp_path, '[http]\nlisten = "127.0.0.1:0"').http.public_url == ""


class TestPaths:
    def test_are_relative_to_the_file(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path,
            '[sip]\nlisten = ["tls://127.0.0.1:5061"]\ntls_certificate = "c.pem"\ntls_key = "k/k.pem"\n'
            '[storage]\ndatabase = "sqlite:///x.db"\nrecordings = "rec"\n'
            '[[numbers]]\nmatch = "*"\ntwiml = "hello.xml"\n',
        )
        assert settings.sip.tls_certificate == tmp_path / "c.pem"
        assert settings.sip.tls_key == tmp_path / "k" / "k.pem"
        assert settings.storage.database == f"sqlite:///{tmp_path}/x.db"
        assert settings.storage.recordings == tmp_path / "rec"
        assert settings.numbers[0].twiml == tmp_path / "hello.xml"

    def test_absolute_ones_and_other_databases_stay(self, tmp_path: Path) -> None:
        settings = load(tmp_path, '[storage]\ndatabase = "sqlite:////var/x.db"\nrecordings = "/var/rec"')
        assert settings.storage.database == "sqlite:////var/x.db"
        assert settings.storage.recordings == Path("/var/rec")
        settings = load(tmp_path, '[storage]\ndatabase = "postgresql://h/n"')
        assert settings.storage.database == "postgresql://h/n"


class TestEnvironment:
    def test_wins_over_the_file(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path, '[sip]\ndomain = "a.example"\nadvertise = "192.0.2.1"', B2BUA_SIP__DOMAIN="b.example"
        )
        assert (settings.sip.domain, settings.sip.advertise) == ("b.example", "192.0.2.1")

    def test_lists_are_json(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path,
            "",
            B2BUA_SIP__LISTEN='["udp://127.0.0.1:0"]',
            B2BUA_RTP__PORTS="[20000, 20999]",
            B2BUA_USERS='[{"name": "carol", "password": "x"}]',
            B2BUA_SECURITY__ALLOW='["10.0.0.0/8"]',
        )
        assert settings.sip.listen == (Listen("udp", "127.0.0.1", 0),)
        assert settings.rtp.ports == (20000, 20999)
        assert settings.users[0].password == SecretStr("x")
        assert settings.security.allow == (ipaddress.ip_network("10.0.0.0/8"),)

    @pytest.mark.parametrize(
        ("variable", "value", "section", "key", "expected"),
        [
            ("B2BUA_NODE__DRAIN_S", "1.5", "node", "drain_s", 1.5),
            ("B2BUA_ACCOUNT__SID", "AC" + "0" * 32, "account", "sid", "AC" + "0" * 32),
            ("B2BUA_WORKERS__MAX", "7", "workers", "max", 7),
            ("B2BUA_HTTP__LISTEN", "127.0.0.1:0", "http", "listen", HostPort("127.0.0.1", 0)),
            ("B2BUA_HTTP__PUBLIC_URL", "https://x.example/", "http", "public_url", "https://x.example"),
            ("b2bua_dial__country", "DE", "dial", "country", "DE"),
        ],
    )
    def test_scalars(self, variable: str, value: str, section: str, key: str, expected: Any) -> None:
        settings = load_settings(None, {variable: value})
        assert getattr(getattr(settings, section), key) == expected

    def test_sets_every_key_of_the_example(self, tmp_path: Path) -> None:
        environ = {}
        for section, values in example_values().items():
            if section in ("trunks", "api_keys", "applications", "users", "numbers"):
                environ[f"B2BUA_{section.upper()}"] = json.dumps([values])
                continue
            for key, value in values.items():
                as_text = value if isinstance(value, str) else json.dumps(value)
                environ[f"B2BUA_{section}__{key}".upper()] = as_text
        by_environment = load_settings(None, environ)
        example = load_settings(config_file("b2bua.example.toml"), {})
        assert by_environment.sip.listen == example.sip.listen
        for section in ("node", "rtp", "relay", "workers", "http", "dial", "security"):
            assert getattr(by_environment, section) == getattr(example, section)

    def test_sets_a_key_of_one_table_of_an_array(self, tmp_path: Path) -> None:
        trunks = '[[trunks]]\nname = "a"\nuri = "sip:a.test"\n[[trunks]]\nname = "b"\nuri = "sip:b.test"\n'
        settings = load(
            tmp_path,
            trunks,
            B2BUA_TRUNKS__1__PASSWORD="s3cret",
            B2BUA_TRUNKS__1__PREFIXES='["+44"]',
            B2BUA_TRUNKS__1__REGISTER="false",
            B2BUA_USERS__0__NAME="carol",
            B2BUA_USERS__0__PASSWORD="x",
        )
        assert [each.uri for each in settings.trunks] == ["sip:a.test", "sip:b.test"]
        assert settings.trunks[1].password == SecretStr("s3cret")
        assert [each.prefixes for each in settings.trunks] == [(), ("+44",)]
        assert [each.name for each in settings.users] == ["carol"]

    def test_a_mistake_in_a_table_names_the_variable(self, tmp_path: Path) -> None:
        (finding,) = complaints(tmp_path, "", B2BUA_USERS__0__NAME="a b", B2BUA_USERS__0__PASSWORD="x")
        assert finding.file == "B2BUA_USERS__0__NAME"
        assert finding.text.startswith("users[0].name: ")
        (finding,) = complaints(tmp_path, "", B2BUA_TRUNKS__0="x")
        assert finding.file == "B2BUA_TRUNKS__0"

    def test_works_without_a_file(self) -> None:
        settings = load_settings(None, {"B2BUA_WORKERS__IDLE": "1"})
        assert settings.workers.idle == 1
        assert len(settings.users) == 2

    def test_a_mistake_names_the_variable(self, tmp_path: Path) -> None:
        (finding,) = complaints(tmp_path, "", B2BUA_WORKERS__IDLE="many")
        assert finding.file == "B2BUA_WORKERS__IDLE"
        assert "workers.idle" in finding.text
        (finding,) = complaints(tmp_path, "", B2BUA_SIP__LISTEN="udp://127.0.0.1:5060")
        assert finding.file == "B2BUA_SIP__LISTEN"
        assert "JSON" in finding.text

    def test_an_unknown_key_or_section_is_an_error(self, tmp_path: Path) -> None:
        (finding,) = complaints(tmp_path, "", B2BUA_SIP__DOMIAN="x")
        assert (finding.file, finding.text) == (
            "B2BUA_SIP__DOMIAN",
            "sip.domian: unknown key; did you mean sip.domain?",
        )
        (finding,) = complaints(tmp_path, "", B2BUA_DAIL__TRUNK="x")
        assert (finding.file, finding.text) == ("B2BUA_DAIL__TRUNK", "dail: unknown key; did you mean dial?")

    def test_what_a_container_platform_adds_is_none_of_ours(self, tmp_path: Path) -> None:
        load(tmp_path, "", B2BUA_SERVICE_HOST="10.0.0.1", B2BUA_PORT="udp://10.0.0.1:5060", PATH="/bin")

    def test_is_not_read_by_making_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("B2BUA_NODE__DRAIN_S", "1")
        monkeypatch.setenv("NODE", '{"drain_s": 2}')
        assert Settings().node.drain_s == 30


class TestMistakes:
    def test_each_is_found_with_its_line_in_order(self, tmp_path: Path) -> None:
        found = complaints(
            tmp_path,
            '[dail]\nx = 1\n\n[sip]\nlisten = [\n  "udp://127.0.0.1:5060",\n  "xcp://1",\n]\n  domian = "x"\n'
            + TRUNK
            + '[[trunks]]\nname = "b"\nuri = "sip:"\n',
        )
        assert [(finding.line, finding.column, finding.text) for finding in found] == [
            (1, 1, "dail: unknown key; did you mean dial?"),
            (5, 1, "sip.listen[1]: 'xcp://1' is not udp://ADDRESS:PORT, tcp://… or tls://…"),
            (9, 3, "sip.domian: unknown key; did you mean sip.domain?"),
            (15, 1, "trunks[1].uri: 'sip:' is not a SIP URI like sip:192.0.2.10:5060;transport=udp"),
        ]
        assert {finding.severity for finding in found} == {"error"}
        assert {finding.number for finding in found} == {0}
        assert {finding.file for finding in found} == {str(tmp_path / "b2bua.toml")}

    def test_reads_as_one_line_a_finding(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, "[workers]\nidle = -1\n")
        assert str(caught.value) == (
            f"{tmp_path}/b2bua.toml:2:1: error 0 workers.idle: should be greater than or equal to 0, not -1"
        )

    def test_an_unknown_key_like_no_other_lists_the_known(self, tmp_path: Path) -> None:
        assert (
            complaint(tmp_path, "[workers]\nzzz = 1\n")
            == "2:1 workers.zzz: unknown key; known here: idle, max"
        )

    def test_an_unknown_key_in_an_array_of_tables(self, tmp_path: Path) -> None:
        assert (
            complaint(tmp_path, TRUNK + 'prefix = ["1"]')
            == "4:1 trunks[0].prefix: unknown key; did you mean trunks[0].prefixes?"
        )
        assert "did you mean trunks[0].register?" in complaint(tmp_path, TRUNK + "registers = true")

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("[sip]\nlisten = [\n", "3:0"),
            ("[sip]\n  listen = 08\n", "2:"),
            ("[sip]\n[sip]\n", "2:"),
        ],
    )
    def test_what_is_not_toml_is_placed(self, tmp_path: Path, text: str, place: str) -> None:
        said = complaint(tmp_path, text)
        assert said.startswith(place)
        assert " not TOML: " in said

    def test_what_is_not_utf_8(self, tmp_path: Path) -> None:
        path = tmp_path / "b2bua.toml"
        path.write_bytes(b'[sip]\ndomain = "\xff"\n')
        with pytest.raises(SettingsError, match="UTF-8"):
            load_settings(path, {})

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(
            UnreadableSettingsError, match=r"absent\.toml:0:0: error 0 cannot be read: No such"
        ):
            load_settings(tmp_path / "absent.toml", {})

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[node]\ndrain_s = -1", "2:1 node.drain_s: should be greater"),
            ('[account]\nsid = "AC1"', "2:1 account.sid: should match"),
            ('[account]\nauth_token = "short"', "2:1 account.auth_token: "),
            ("[sip]\nlisten = []", "2:1 sip.listen: should have at least 1 item"),
            ('[sip]\nlisten = ["udp://127.0.0.1"]', "2:1 sip.listen[0]: '127.0.0.1' is not ADDRESS:PORT"),
            ('[sip]\nlisten = ["udp://127.0.0.1:65536"]', "2:1 sip.listen[0]: there is no port 65536"),
            ('[sip]\nlisten = ["udp://host:5060"]', "2:1 sip.listen[0]: 'host' is not an IP address"),
            ("[sip]\nlisten = [5060]", "2:1 sip.listen[0]: 5060 is not text"),
            (
                '[sip]\nlisten = ["udp://127.0.0.1:5060", "udp://127.0.0.1:5060"]',
                "2:1 sip.listen: the same address is there twice",
            ),
            ('[sip]\nlisten = ["udp://0.0.0.0:5060"]', "1:1 sip.advertise: is required to listen on all"),
            (
                '[sip]\nlisten = ["tls://127.0.0.1:0"]',
                "1:1 sip.tls_certificate: is required to listen on tls",
            ),
            (
                '[sip]\nlisten = ["tls://127.0.0.1:0"]\ntls_certificate = "c"',
                "1:1 sip.tls_key: is required to listen on tls",
            ),
            ('[sip]\nadvertise = "1.2.3.256"', "2:1 sip.advertise: '1.2.3.256' is neither"),
            ('[sip]\ndomain = "a b"', "2:1 sip.domain: 'a b' is neither"),
            ('[sip]\nnameservers = ["dns"]', "2:1 sip.nameservers[0]: 'dns' is not an IP address"),
            ("[rtp]\nports = [10000, 10014]", "2:1 rtp.ports: two ports, the first and the last of"),
            ("[rtp]\nports = [80, 10014]", "2:1 rtp.ports[0]: should be greater than or equal to 1024"),
            ('[rtp]\ncodecs = ["OPUS"]', "2:1 rtp.codecs[0]: should be 'PCMU', 'PCMA' or 'G722', not 'OPUS'"),
            ("[relay]\ntick_ms = 0.5", "2:1 relay.tick_ms: should be greater than or equal to 1"),
            ("[relay]\ntick_ms = 50", "2:1 relay.tick_ms: should be less than or equal to 20"),
            ("[relay]\nsilence_after_ms = 20", "2:1 relay.silence_after_ms: should be greater than or equal"),
            ("[relay]\nrtp_timeout_s = -1", "2:1 relay.rtp_timeout_s: should be greater than or equal to 0"),
            ("[rtp]\ncodecs = []", "2:1 rtp.codecs: should have at least 1 item"),
            ('[rtp]\ncodecs = ["PCMU", "PCMU"]', "2:1 rtp.codecs: a codec is there twice"),
            ("[workers]\nidle = 5\nmax = 4", "2:1 workers.idle: 5 is more than workers.max, 4"),
            ('[http]\nlisten = ":8080"', "2:1 http.listen: ':8080' is not ADDRESS:PORT"),
            ('[http]\npublic_url = "ftp://x"', "2:1 http.public_url: 'ftp://x' is not an http://"),
            ('[http]\npublic_url = "http://[x"', "2:1 http.public_url: 'http://[x' is not an http://"),
            ('[http]\npublic_url = "ftp://ann:pw@x"', "2:1 http.public_url: 'ftp://x' is not an http://"),
            ('[dial]\ntrunk = "pbx"', "2:1 dial.trunk: there is no trunk 'pbx'"),
            ('[dial]\ncountry = "usa"', "2:1 dial.country: should match"),
            (
                '[dial]\nringtone = "us-odl"',
                "2:1 dial.ringtone: there is no ringtone 'us-odl'; did you mean us-old",
            ),
            ('[dial]\nringtone = "qqqqq"', "2:1 dial.ringtone: there is no ringtone 'qqqqq'"),
            (
                '[security]\nallow = ["10.0.0.1/8"]',
                "2:1 security.allow[0]: not a network like 192.0.2.0/24: 10",
            ),
            (
                "[security]\nallow = [10]",
                "2:1 security.allow[0]: not a network like 192.0.2.0/24: 10 is not text",
            ),
            ("[security]\ninvite_rate_per_s = 0", "2:1 security.invite_rate_per_s: should be greater than 0"),
            (TRUNK + "register = true", "1:1 trunks[0].username: is required to register"),
            (TRUNK + TRUNK, "5:1 trunks[1].name: 'pbx' is there twice"),
            (TRUNK + 'prefixes = ["+1x"]', "4:1 trunks[0].prefixes[0]: should match"),
            ('[[trunks]]\nname = "a"', "1:1 trunks[0].uri: is required"),
            ('[[trunks]]\nname = "a"\nuri = "sip:h:0"', "3:1 trunks[0].uri: there is no port 0"),
            ('[[users]]\nname = "a b"\npassword = "x"', "2:1 users[0].name: should match"),
            ('[[users]]\nname = "a"\npassword = ""', "3:1 users[0].password: "),
            ('[[numbers]]\nmatch = "1"', "1:1 numbers[0].voice_url: is required, or twiml"),
            (
                '[[numbers]]\nmatch = "1"\nvoice_url = "http://h"\nvoice_method = "PUT"',
                "4:1 numbers[0].voice_method: should be 'GET' or 'POST', not 'PUT'",
            ),
            ("[sip]\n[sip.x]\n", "2:1 sip.x: unknown key"),
            ('sip = "x"', "1:1 sip: should be a valid dictionary"),
        ],
    )
    def test_bounds(self, tmp_path: Path, text: str, expected: str) -> None:
        assert complaint(tmp_path, text).startswith(expected)


class TestAccepted:
    @pytest.mark.parametrize(
        "uri",
        [
            "sip:192.0.2.10:5060;transport=udp",
            "sips:pbx.example.com",
            "sip:user@[2001:db8::1]:5061;transport=tls;lr",
        ],
    )
    def test_trunk_uris(self, tmp_path: Path, uri: str) -> None:
        settings = load(tmp_path, f'[[trunks]]\nname = "a"\nuri = "{uri}"\n')
        assert settings.trunks[0].uri == uri

    def test_listening_on_ipv6_and_on_a_free_port(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path, '[sip]\nlisten = ["tcp://[::1]:5060", "udp://127.0.0.1:0", "udp://127.0.0.1:0"]'
        )
        assert settings.sip.listen[0] == Listen("tcp", "::1", 5060)
        assert str(settings.sip.listen[0]) == "tcp://[::1]:5060"
        assert settings.sip.advertise == "::1"

    def test_values_that_have_been_read_already(self) -> None:
        listen = (Listen("udp", "192.0.2.1", 5060),)
        assert SipSettings(listen=listen).listen == listen
        allow = (ipaddress.ip_network("2001:db8::/32"),)
        assert SecuritySettings(allow=allow).allow == allow
        assert HttpSettings(listen=HostPort("127.0.0.1", 0)).public_url == ""

    def test_a_url_is_kept_letter_by_letter(self, tmp_path: Path) -> None:
        url = "https://User:p@app.example.com:443/Voice?b=2&a=%20#rc=2"
        settings = load(tmp_path, f'[[numbers]]\nmatch = "*"\nvoice_url = "{url}"\n')
        assert settings.numbers[0].voice_url == url

    def test_a_default_trunk_that_is_there(self, tmp_path: Path) -> None:
        assert load(tmp_path, TRUNK + '[dial]\ntrunk = "pbx"').dial.trunk == "pbx"

    def test_a_document_beside_a_url(self, tmp_path: Path) -> None:
        text = '[[numbers]]\nmatch = "*"\nvoice_url = "http://h/v"\ntwiml = "x.xml"\n'
        assert load(tmp_path, text).numbers[0].voice_url == "http://h/v"


class TestSecrets:
    TEXT = (
        '[account]\nauth_token = "hush-token"\n[storage]\ndatabase = "postgresql://u:hush-db@h/n"\n'
        '[[users]]\nname = "a"\npassword = "hush-user"\n'
        '[[trunks]]\nname = "t"\nuri = "sip:h"\npassword = "hush-trunk"\n'
    )

    def test_are_not_printed(self, tmp_path: Path) -> None:
        assert "hush" not in repr(load(tmp_path, self.TEXT))

    def test_are_not_in_complaints(self, tmp_path: Path) -> None:
        text = (
            '[account]\nauth_token = "hush"\n[storage]\ndatabase = "mysql://u:hush@h"\n[[users]]\nname="a"\n'
        )
        text += f'password = "{"hush" * 100}"\n'
        found = complaints(tmp_path, text)
        assert len(found) == 3
        assert not any("hush" in finding.text for finding in found)

    def test_can_be_had(self, tmp_path: Path) -> None:
        token = load(tmp_path, self.TEXT).account.auth_token
        assert token is not None
        assert token.get_secret_value() == "hush-token"


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.sip = SipSettings()  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.sip.domain = "x"  # type: ignore[misc]
