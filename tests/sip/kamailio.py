"""Kamailio as the PBX: requires passwords, keeps registrations, forwards calls."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tests.peer.ladder import PATIENCE_S
from tests.ports import port_block

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"
CONFIG = """
debug=1
log_stderror=yes
children=2
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="{modules}"
{loads}
modparam("htable", "htable", "pw=>size=4;")
modparam("registrar", "min_expires", 30)
event_route[htable:mod-init] {{ $sht(pw=>{user})="{password}"; }}
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) t_relay();
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("$td", "$sht(pw=>$au)", "0")) {{ www_challenge("$td", "1"); exit; }}
        save("location");
        exit;
    }}
    if (is_method("INVITE")) record_route();
    if ($rU =~ "^[+]") {{
        if (!pv_proxy_authenticate("pbx", "$sht(pw=>$au)", "0")) {{ proxy_challenge("pbx", "1"); exit; }}
        consume_credentials();
        $du = "{desk}";
        t_relay();
        exit;
    }}
    if (!lookup("location")) {{ sl_send_reply("404", "Nobody"); exit; }}
    t_relay();
}}
"""
LOADS = "kex tm sl rr pv maxfwd textops siputils usrloc registrar auth htable"


@contextlib.asynccontextmanager
async def run_kamailio(folder: Path, *, user: str, password: str, desk: str) -> AsyncIterator[int]:
    """Start it; yields its UDP port. Authenticated calls to numbers with + go to ``desk``, a SIP URI."""
    program = shutil.which("kamailio")
    assert program, "no kamailio on PATH: apt-get install kamailio"
    port = port_block(2)
    loads = "\n".join(f'loadmodule "{name}.so"' for name in LOADS.split())
    config = folder / "kamailio.cfg"
    config.write_text(
        CONFIG.format(port=port, modules=MODULES, loads=loads, user=user, password=password, desk=desk)
    )
    log = folder / "kamailio.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            *("-DD", "-E", "-m", "32", "-M", "4", "-f", str(config), "-Y", str(folder)),
            *("-P", str(folder / "kamailio.pid")),
            stdout=output,
            stderr=output,
        )
    try:
        await _listens(port, process, log)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until its port is bound. Kamailio does not report it; the kernel does."""
    for _ in range(1000):
        if _is_bound(port):
            return
        if process.returncode is not None:
            break
        await asyncio.sleep(0.02)
    raise AssertionError(await asyncio.to_thread(log.read_text))


def _is_bound(port: int) -> bool:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)
