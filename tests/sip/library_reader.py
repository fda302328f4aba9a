"""The workers' library as a message parser, in its own process: ``python -m tests.sip.library_reader``.

On stdin messages, each after its length in four bytes; on stdout a line for each: the headers that pjsip's
parser has refused, or ``-``.
"""

import ctypes
import subprocess
import sys
from typing import Any

_POOL = 4000


class _Report(ctypes.Structure):
    """``pjsip_parser_err_report``."""


_Report._fields_ = [
    ("prev", ctypes.POINTER(_Report)),
    ("next", ctypes.POINTER(_Report)),
    ("except_code", ctypes.c_int),
    ("line", ctypes.c_int),
    ("col", ctypes.c_int),
    ("name", ctypes.c_void_p),
    ("name_length", ctypes.c_ssize_t),
]


def _library() -> tuple[Any, Any]:
    import pjsua2 as pj

    library = ctypes.CDLL(pj._pjsua2.__file__)
    library.pj_log_set_level(0)
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    library.pjsua_pool_create.restype = library.pjsip_parse_msg.restype = ctypes.c_void_p
    library.pjsua_pool_create.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t)
    library.pj_pool_release.argtypes = (ctypes.c_void_p,)
    library.pjsip_parse_msg.argtypes = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.POINTER(_Report),
    )
    return endpoint, library


def _refused(library: Any, message: bytes) -> str:
    pool = library.pjsua_pool_create(b"reader", _POOL, _POOL)
    reports = _Report()
    reports.prev = reports.next = ctypes.pointer(reports)
    buffer = ctypes.create_string_buffer(message + b"\0")
    parsed = library.pjsip_parse_msg(pool, buffer, len(message), ctypes.byref(reports))
    names: list[str] = []
    report = reports.next
    while ctypes.addressof(report.contents) != ctypes.addressof(reports):
        found = report.contents
        names.append(ctypes.string_at(found.name, found.name_length).decode() if found.name else "?")
        report = found.next
    library.pj_pool_release(pool)
    return ",".join(names) or ("-" if parsed else "all")


class LibraryReader:
    """The parser process, as a test uses it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def refused(self, message: bytes) -> str:
        """The headers that the library cannot read; ``-``: none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(len(message).to_bytes(4, "big") + message)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the library has ended its process"
        return line.decode().strip()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def main() -> None:
    endpoint, library = _library()
    while head := sys.stdin.buffer.read(4):
        print(_refused(library, sys.stdin.buffer.read(int.from_bytes(head, "big"))), flush=True)
    endpoint.libDestroy()


if __name__ == "__main__":
    main()
