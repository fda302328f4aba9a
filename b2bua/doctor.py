"""``b2bua doctor``: checks whether a node can run on this machine with this configuration.

Each failure comes with a hint.
"""

import os
import resource
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

from b2bua.core.errors import ConfigError
from b2bua.engine.port_blocks import PortBlocks
from b2bua.node.media_net import bind_error, divide_ports, ephemeral_ports
from b2bua.settings import Settings
from b2bua.store.database import reach
from b2bua.trial import run_trial

__all__ = ["doctor"]

_FILES_A_CALL = 24
"""File descriptors that the whole node needs for one call, roughly: sockets of two legs and of the worker."""


@dataclass(frozen=True, slots=True)
class _Finding:
    what: str
    good: bool
    found: str
    hint: str = ""


def doctor(settings: Settings) -> int:
    """Run all checks and print a table.

    Returns: 0 when all is well, else 1.
    """
    console = Console(highlight=False)
    table = Table("", "checked", "found", "what to do")
    findings = [_tried(name, check, settings) for name, check in _CHECKS]
    for finding in findings:
        mark = "[green]✔[/]" if finding.good else "[red]✘[/]"
        table.add_row(mark, finding.what, finding.found, "" if finding.good else finding.hint)
    console.print(table)
    return 0 if all(finding.good for finding in findings) else 1


def _tried(what: str, check: "Callable[[Settings], _Finding]", settings: Settings) -> _Finding:
    try:
        return check(settings)
    except Exception as error:
        return _Finding(what, False, f"{type(error).__name__}: {error}", "see the error on the left")


def _library(settings: Settings) -> _Finding:
    from b2bua.engine.endpoint import library_abilities, library_version

    capacity, _ = library_abilities()
    found = f"{library_version()}, {capacity} legs per worker"
    return _Finding("pjsua2", capacity >= 2, found, "install the pinned wheel: scripts/env")


def _codecs(settings: Settings) -> _Finding:
    from b2bua.engine.endpoint import library_abilities

    _, able = library_abilities()
    lacking = [codec for codec in settings.rtp.codecs if codec not in able]
    found = f"the library has no {', '.join(lacking)}" if lacking else ", ".join(settings.rtp.codecs)
    return _Finding("codecs", not lacking, found, "set rtp.codecs")


def _bind_error(kind: socket.SocketKind, host: str, port: int) -> str:
    """Return why a socket cannot be bound to this address; empty if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _sip_ports(settings: Settings) -> _Finding:
    taken = []
    for each in settings.sip.listen:
        kind = socket.SOCK_DGRAM if each.transport == "udp" else socket.SOCK_STREAM
        if error := _bind_error(kind, each.host, each.port):
            taken.append(f"{each.transport}:{each.host}:{each.port} {error}")
    found = "; ".join(taken) or ", ".join(f"{e.transport}:{e.host}:{e.port}" for e in settings.sip.listen)
    return _Finding("SIP ports", not taken, found, "stop the program that uses the port, or set sip.listen")


def _http_port(settings: Settings) -> _Finding:
    listen = settings.http.listen
    error = _bind_error(socket.SOCK_STREAM, listen.host, listen.port)
    hint = "stop the program that uses the port, or set http.listen"
    return _Finding("HTTP port", not error, f"{listen} {error}".rstrip(), hint)


def _rtp_ports(settings: Settings) -> _Finding:
    bind = settings.rtp.bind
    if error := bind_error(bind):
        hint = "set rtp.bind to an address of this machine, and rtp.advertise to the one that peers use"
        return _Finding("RTP ports", False, f"{bind} {error}", hint)
    first, last = settings.rtp.ports
    wanted = settings.workers.max * 4  # two legs, each with a port for RTP and one for RTCP
    have = last - first + 1
    hint = f"widen rtp.ports to {wanted} ports or lower workers.max"
    return _Finding("RTP ports", have >= wanted, f"{have} for {settings.workers.max} workers", hint)


def _inner_ports(settings: Settings) -> _Finding:
    """Check the ports on the node's own loopback address, for workers and relay."""
    hint = "move rtp.ports, or net.ipv4.ip_local_port_range, so that more ports are left outside both"
    try:
        ports = divide_ports(settings.rtp.ports, ephemeral_ports(), settings.workers.max)
    except ConfigError as error:
        return _Finding("loopback ports", False, str(error), hint)
    workers = PortBlocks(ports.workers, settings.workers.max).count
    found = f"{ports.workers[0]} to {ports.relay[1]}, for {workers} workers"
    return _Finding("loopback ports", workers >= settings.workers.max, found, hint)


def _descriptors(settings: Settings) -> _Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = 256 + settings.workers.max * _FILES_A_CALL // 8
    return _Finding("open files", limit >= wanted, str(limit), f"raise ulimit -n to {wanted}")


def _store(settings: Settings) -> _Finding:
    try:
        return _Finding("store", True, uvloop.run(reach(settings.storage.database)))
    except ConfigError as error:
        return _Finding("store", False, str(error), "set storage.database, and start its server")


def _folders(settings: Settings) -> _Finding:
    folder = settings.storage.recordings
    place = next(p for p in (folder, *folder.parents) if p.exists())
    return _Finding(
        "recordings folder",
        os.access(place, os.W_OK),
        str(folder),
        f"give the node's user write access to {place}",
    )


def _call(settings: Settings) -> _Finding:
    with tempfile.TemporaryDirectory() as folder:
        result = uvloop.run(run_trial(Path(folder), lambda exchange: None))
    found = ", ".join(f"{tone.hz:.0f} Hz {tone.dbfs:.0f} dBFS" for tone in result.tones)
    return _Finding("a call on 127.0.0.1", result.good, found, "run b2bua demo and see where it stops")


_CHECKS: "tuple[tuple[str, Callable[[Settings], _Finding]], ...]" = (
    ("pjsua2", _library),
    ("codecs", _codecs),
    ("SIP ports", _sip_ports),
    ("HTTP port", _http_port),
    ("RTP ports", _rtp_ports),
    ("loopback ports", _inner_ports),
    ("open files", _descriptors),
    ("store", _store),
    ("recordings folder", _folders),
    ("a call on 127.0.0.1", _call),
)
