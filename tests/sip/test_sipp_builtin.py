"""SIPp's built-in scenarios, which newcomers try first: they ignore Contact, Route and media."""

import asyncio
import shutil

import pytest

from tests.peer.webapp import WebApp
from tests.ports import port_block
from tests.sip.node_process import NodeProcess

pytestmark = pytest.mark.sip


async def builtin(*words: str) -> asyncio.subprocess.Process:
    program = shutil.which("sipp")
    assert program, "apt-get install sip-tester"
    return await asyncio.create_subprocess_exec(
        program,
        *words,
        *("-i", "127.0.0.1", "-m", "1", "-nostdin", "-timeout", "15", "-timeout_error"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def test_the_built_in_caller_reaches_the_built_in_callee(node: NodeProcess, app: WebApp) -> None:
    port = port_block(2)
    app.reply(
        "/voice",
        f'<Response><Dial answerOnBridge="true" action="/after"><Sip>sip:x@127.0.0.1:{port}</Sip>'
        "</Dial></Response>",
    )
    callee = await builtin("-sn", "uas", "-p", str(port))
    host, sip = node.udp
    caller = await builtin("-sn", "uac", "-s", "100", "-d", "300", "-p", str(port_block(2)), f"{host}:{sip}")
    assert await caller.wait() == 0
    assert await callee.wait() == 0
    after = await app.expect("/after")
    assert after["DialCallStatus"] == "completed"
