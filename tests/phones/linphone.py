"""linphonec (Debian ``linphone-cli``), driven by lines on its standard input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from tests.peer.tones import Samples
from tests.phones.account import Account, read_heard, write_tone
from tests.ports import port_block

LIMIT_S = 20.0

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
default_proxy=0
guess_hostname=0
register_only_when_network_is_up=0
contact="{user}" <sip:{user}@127.0.0.1>
verify_server_certs=0
verify_server_cn=0
{srtp}
[auth_info_0]
username={user}
userid={user}
passwd={password}
realm={host}
[proxy_0]
reg_proxy=<sip:{host}:{port};transport={transport}>
reg_identity=sip:{user}@{host}
reg_expires={expires_s}
reg_sendregister=1
[rtp]
audio_rtp_port={rtp_port}
[misc]
store_rc=0
[video]
enabled=0
capture=0
display=0
automatically_initiate=0
automatically_accept=0
[sound]
echocancellation=0
"""


class Linphone:
    """A running linphonec, created by ``Linphone.start``. It ends with the context."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.folder = account, folder
        self.lines: list[str] = []
        """All lines of its output, oldest first."""
        self._taken = 0
        self._news = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, account: Account, folder: Path) -> AsyncIterator[Linphone]:
        """A phone that has registered. ``folder`` is its own and holds the audio that it hears."""
        phone = cls(account, folder)
        phone._configure()
        try:
            await phone._run()
            await phone._registered()
            yield phone
        finally:
            await phone._stop()

    # -- acts ------------------------------------------------------------------------------------

    def uri(self, user: str) -> str:
        """A user of the node, as this phone dials it."""
        host, port = self.account.server
        return f"sip:{user}@{host}:{port};transport={self.account.transport}"

    def call(self, user: str) -> None:
        self.command(f"call {self.uri(user)}")

    def answer(self) -> None:
        self.command("answer")

    def hang_up(self) -> None:
        self.command("terminate")

    def hold(self) -> None:
        self.command("pause")

    def resume(self) -> None:
        self.command("resume 1")

    def press(self, digits: str) -> None:
        """Send keys as RFC 4733 events."""
        self.command(digits)

    def transfer(self, uri: str) -> None:
        """Transfer the call to a URI (blind, by REFER)."""
        self.command(f"transfer {uri}")

    def command(self, line: str) -> None:
        """Send any line of its command language."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    # -- what happens ----------------------------------------------------------------------------

    async def expect(self, pattern: str, within_s: float = LIMIT_S) -> str:
        """The next line, past or future, that contains this expression: "Receiving new incoming call", …
        "connected", "Media streams established", "Receiving tone 5 from", "has been paused by", "ended"."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    while self._taken < len(self.lines):
                        line = self.lines[self._taken]
                        self._taken += 1
                        if re.search(pattern, line):
                            return line
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            said = "\n".join(self.lines)
            raise AssertionError(f"linphonec {self.account.user}: no {pattern!r}\n{said}") from None

    def heard(self) -> Samples:
        """The audio of its calls so far, at 8000 Hz; complete when it has ended."""
        return read_heard(self.folder / "heard.wav")

    # -- its process -----------------------------------------------------------------------------

    def _configure(self) -> None:
        account = self.account
        (self.folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        host, port = account.server
        first = port_block(60)
        ports = {name: first if name == account.transport else -2 for name in ("udp", "tcp", "tls")}
        media = {"": "", "optional": "media_encryption=srtp", "required": "media_encryption=srtp"}[
            account.srtp
        ]
        if account.srtp == "required":
            media += "\nmedia_encryption_mandatory=1"
        if account.ca is not None:
            media += f"\nroot_ca={account.ca}"
        text = CONFIG.format(
            **ports, user=account.user, password=account.password, host=host, port=port, srtp=media,
            transport=account.transport, expires_s=account.expires_s, rtp_port=first + 2,
        )  # fmt: skip
        (self.folder / "rc").write_text(text)

    async def _run(self) -> None:
        options = ["-a"] if self.account.answers else []
        self._process = await asyncio.create_subprocess_exec(
            "linphonec", "-c", str(self.folder / "rc"), *options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HOME": str(self.folder), "TERM": "dumb"},
        )  # fmt: skip
        assert self._process.stdout is not None
        self._reading = asyncio.get_running_loop().create_task(self._read(self._process.stdout))
        tone = write_tone(self.folder / "tone.wav", self.account.tone_hz)
        for line in ("soundcard use files", f"play {tone}", f"record {self.folder / 'heard.wav'}"):
            self.command(line)

    async def _registered(self) -> None:
        """It does not report its registration by itself."""
        for _ in range(int(LIMIT_S / 0.1)):
            self.command("status register")
            if (await self.expect("registered")).startswith("registered,"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("\n".join(self.lines))

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            self.lines.append(line.decode("utf-8", "replace").rstrip())
            self._news.set()

    async def _stop(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ConnectionError):
                self.command("quit")
        try:
            async with asyncio.timeout(3):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        if self._process.stdin is not None:
            self._process.stdin.close()
