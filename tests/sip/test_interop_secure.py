"""Softphones with encryption: baresip by TLS and SRTP, Linphone by SRTP."""

import asyncio
from pathlib import Path

import pytest

from tests.peer.ladder import PATIENCE_S
from tests.phones.account import Account, describe, seconds_of_tone
from tests.phones.baresip import Baresip
from tests.phones.linphone import Linphone
from tests.sip.certificates import Authority
from tests.sip.node_process import config_text, run_node

pytestmark = pytest.mark.sip

USERS = """
[[users]]
name = "alice"
password = "alices-own-secret"
[[users]]
name = "bob"
password = "bobs-own-secret"
"""
ALICE_HZ, BOB_HZ = 440.0, 660.0


async def test_a_call_by_tls_and_srtp_is_heard_by_both_and_leaves_no_secret_in_the_log(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "tls")
    sections = {
        "sip": {
            "listen": ["udp://127.0.0.1:0", "tls://127.0.0.1:0"],
            **authority.issue("node", "127.0.0.1", "localhost"),
        },
        "rtp": {"srtp": "required"},
        "security": {"allow": []},
    }
    text = config_text({}, sections=sections, extra=USERS)
    async with run_node(tmp_path, text) as node:
        alices = Account(
            user="alice", password="alices-own-secret", server=node.sip["tls"], tone_hz=ALICE_HZ,
            transport="tls", ca=authority.ca, srtp="required",
        )  # fmt: skip
        bobs = Account(
            user="bob", password="bobs-own-secret", server=node.udp, tone_hz=BOB_HZ, srtp="required"
        )
        async with (
            Baresip.start(alices, tmp_path / "alice") as alice,
            Linphone.start(bobs, tmp_path / "bob") as bob,
        ):
            await alice.call("bob")
            await bob.expect("incoming call from sip:alice@")
            bob.answer()
            await alice.expect("CALL_ESTABLISHED")
            await bob.expect("Media streams established")
            await alice.press("7")
            await asyncio.sleep(1.5)  # there is nothing to wait for while people talk
            await alice.hang_up()
            await bob.expect("ended")
            await alice.expect("CALL_CLOSED")
            for _ in range(int(PATIENCE_S / 0.05)):
                if seconds_of_tone(bob.heard(), ALICE_HZ) >= 0.8:
                    break
                await asyncio.sleep(0.05)
            assert seconds_of_tone(bob.heard(), ALICE_HZ) >= 0.8, describe(bob.heard(), ALICE_HZ)
            assert seconds_of_tone(alice.heard(), BOB_HZ) >= 0.8, describe(alice.heard(), BOB_HZ)
    log = (tmp_path / "node.log").read_text()
    for secret in ("alices-own-secret", "bobs-own-secret", "a=crypto", "inline:", "response=", "nonce="):
        assert secret not in log
