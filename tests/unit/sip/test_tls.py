"""Certificates: errors in files are reported, and a bad certificate never replaces a good one."""

from pathlib import Path

import pytest

from b2bua.core.errors import ConfigError
from b2bua.sip.edge_control import TlsSpec
from b2bua.sip.tls import Contexts
from tests.sip.certificates import Authority

pytestmark = pytest.mark.unit


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def spec(authority: Authority, ca: str = "") -> TlsSpec:
    files = authority.issue("node", "sip.example.com")
    return TlsSpec(certificate=files["tls_certificate"], key=files["tls_key"], ca=ca, clients="optional")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("node.pem", None, r"node\.pem cannot be read: No such file"),
        ("node.key", None, r"node\.key cannot be read: No such file"),
        ("node.pem", "rubbish", r"are no usable certificate and key \(PEM\)"),
        ("node.key", "other", r"the key .*node\.key does not belong to the certificate"),
        ("node.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----", "no usable|has a password"),
        ("ca.pem", "rubbish", r"ca\.pem has no certificates of authorities"),
        ("ca.pem", None, r"ca\.pem cannot be read"),
    ],
)
def test_what_is_wrong_is_said(authority: Authority, name: str, content: str | None, said: str) -> None:
    wanted = spec(authority, str(authority.ca))
    contexts = Contexts(wanted)
    server = contexts.server
    path = authority.folder / name
    if content is None:
        path.unlink()
    elif content == "other":
        path.write_text(Path(authority.issue("other", "a.example")["tls_key"]).read_text())
    else:
        path.write_text(content)
    with pytest.raises(ConfigError, match=said):
        contexts.load(wanted)
    assert contexts.server is server


def test_other_authorities_are_those_of_the_system(authority: Authority) -> None:
    assert Contexts(spec(authority)).client.cert_store_stats()["x509_ca"] >= 0
