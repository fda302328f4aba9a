"""baresip (Debian ``baresip-core``), driven by its ``ctrl_tcp`` module: netstrings of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.peer.tones import Samples
from tests.phones.account import Account, read_heard, write_tone
from tests.ports import port_block

LIMIT_S = 20.0
MODULES = "/usr/lib/baresip/modules"

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip_port}
net_interface 127.0.0.1
call_local_timeout 120
call_max_calls 4
audio_path /usr/share/baresip
audio_source aufile,{tone}
audio_player aubridge,sink
audio_alert aubridge,alert
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
jitter_buffer_type fixed
jitter_buffer_delay 1-5
rtp_ports {rtp_port}-{rtp_last}
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control_port}
snd_path {folder}
{tls}
"""


class Baresip:
    """A running baresip, created by ``Baresip.start``. It ends with the context."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.folder = account, folder
        # Below the ephemeral range, so that nobody gets one of them before it does. It takes the port after
        # its own for TLS, whether that is wanted or not.
        self.sip_port = port_block(60)
        self._control_port = self.sip_port + 2
        self._rtp_port = self.sip_port + 4
        self.events: list[dict[str, Any]] = []
        """All events that it has reported, oldest first."""
        self._taken = 0
        self._news = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, account: Account, folder: Path) -> AsyncIterator[Baresip]:
        """A phone that has registered. ``folder`` is its own and holds its log and sound files."""
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

    async def call(self, user: str) -> None:
        await self.command("dial", self.uri(user))

    async def answer(self) -> None:
        await self.command("accept")

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def hold(self) -> None:
        await self.command("hold")

    async def resume(self) -> None:
        await self.command("resume")

    async def press(self, digits: str) -> None:
        """Send keys as RFC 4733 events."""
        for digit in digits:
            await self.command("sndcode", digit)

    async def transfer(self, uri: str) -> None:
        """Transfer the call to a URI (blind, by REFER)."""
        await self.command("transfer", uri)

    async def command(self, name: str, params: str = "") -> None:
        """Send any command of its menu."""
        assert self._writer is not None
        body = json.dumps({"command": name, "params": params, "token": ""}).encode()
        self._writer.write(b"%d:%b," % (len(body), body))
        await self._writer.drain()

    # -- what happens ----------------------------------------------------------------------------

    async def expect(self, kind: str, within_s: float = LIMIT_S) -> dict[str, Any]:
        """The next event of this type, past or future: CALL_INCOMING, CALL_RINGING, CALL_ESTABLISHED, …
        CALL_CLOSED, CALL_DTMF_START (``param``: the digit), …"""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    while self._taken < len(self.events):
                        event = self.events[self._taken]
                        self._taken += 1
                        if event.get("type") == kind:
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"baresip {self.account.user}: no {kind}\n{self.transcript()}") from None

    def heard(self) -> Samples:
        """The audio of the last call that has ended, at 8000 Hz."""
        files = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
        return read_heard(files[-1]) if files else read_heard(self.folder / "none")

    def transcript(self) -> str:
        """For failure messages: its events and its log."""
        return "\n".join([*(str(event) for event in self.events), self._log()[-4000:]])

    # -- its process -----------------------------------------------------------------------------

    def _configure(self) -> None:
        account = self.account
        self.folder.mkdir(parents=True, exist_ok=True)
        tls = ""
        if account.transport == "tls":
            tls = f"sip_cafile {account.ca}" if account.ca else "sip_verify_server no"
        tone = write_tone(self.folder / "tone.wav", account.tone_hz)
        text = CONFIG.format(
            sip_port=self.sip_port, control_port=self._control_port, tone=tone, rtp_port=self._rtp_port,
            rtp_last=self._rtp_port + 40, modules=MODULES, folder=self.folder, tls=tls,
        )  # fmt: skip
        (self.folder / "config").write_text(text)
        (self.folder / "contacts").write_text("")
        host, port = account.server
        srtp = {"": "", "optional": ";mediaenc=srtp", "required": ";mediaenc=srtp-mand"}[account.srtp]
        (self.folder / "accounts").write_text(
            f"<sip:{account.user}@{host}:{port};transport={account.transport}>;auth_user={account.user}"
            f";auth_pass={account.password};regint={account.expires_s};audio_codecs=PCMU,PCMA;ptime=20"
            f";answermode={'auto' if account.answers else 'manual'}{srtp}\n"
        )

    async def _run(self) -> None:
        with (self.folder / "baresip.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "baresip",
                "-4",
                "-f",
                str(self.folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(LIMIT_S):
            while self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_connection("127.0.0.1", self._control_port)
                except OSError:
                    await asyncio.sleep(0.02)  # it tells nobody when it listens
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    async def _registered(self) -> None:
        """It registers before its event interface is available, so its log is read."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while "200 OK" not in self._log():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"baresip {self.account.user} did not register\n{self.transcript()}"
            ) from None

    def _log(self) -> str:
        return (self.folder / "baresip.log").read_text(errors="replace")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(length + 1))[:-1])
                if message.get("event"):
                    self.events.append(message)
                    self._news.set()

    async def _stop(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(ConnectionError):
                await self.command("quit")
        if self._process is not None:
            try:
                async with asyncio.timeout(3):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
