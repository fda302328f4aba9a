"""A certificate authority for tests, and the certificates that it has issued."""

import ssl
from pathlib import Path

import trustme

from tests.peer.stream import Tls


class Authority:
    """An authority whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._ca = trustme.CA()
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(self, name: str, *hosts: str) -> dict[str, str]:
        """Files ``tls_certificate`` and ``tls_key`` for ``hosts``; created anew each time."""
        signed = self._ca.issue_cert(*hosts)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.unlink(missing_ok=True)
        for blob in signed.cert_chain_pems:
            blob.write_to_path(str(certificate), append=True)
        signed.private_key_pem.write_to_path(str(key))
        return {"tls_certificate": str(certificate), "tls_key": str(key)}

    def peer(self, *hosts: str, shows: bool = True) -> Tls:
        """Contexts for a peer at ``hosts`` that trusts this authority; ``shows`` its own certificate."""
        signed = self._ca.issue_cert(*hosts)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        signed.configure_cert(server)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(client)
        if shows:
            signed.configure_cert(client)
        return server, client
