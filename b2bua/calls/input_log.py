"""The input log of a session: all that came into it, from which the session can be made again.

A session is a machine without I/O, so what it has become follows from how it began (``LogHeader``) and from
its inputs with their times (``LoggedStep``). What else a session takes from its surroundings is logged with
the input during which it asked (``Lookups``), or follows from a seed (``SeededIds``).

A log is one header and one record for each step, each preceded by its length in four bytes. It is written
ahead: a step's record is complete before any of its outputs takes effect. Each record has a check of these
outputs, so that another version of the code can tell whether it would have done the same. Sans I/O.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b

import msgspec

from b2bua.calls.orders import RecordCall, SessionInput
from b2bua.calls.outbound import OutboundCall
from b2bua.calls.script import Script
from b2bua.core.admission import AdmittedCall
from b2bua.core.ids import CallSid, HostId, LegId, RecordingSid, SipCallId
from b2bua.core.relay_orders import AudioEvent
from b2bua.relay.control import KeyPressed

__all__ = [
    "AudioDue",
    "Due",
    "Faulted",
    "HostAdded",
    "HostLost",
    "HostMissing",
    "LogHeader",
    "LogInput",
    "LoggedStep",
    "Lookups",
    "SeededIds",
    "check_of",
    "encode_header",
    "encode_step",
    "read_log",
]

LOG_FORMAT = 1
MAX_RECORD = 1 << 20
_LENGTH = struct.Struct(">I")
_ENCODER = msgspec.msgpack.Encoder()


class LogHeader(msgspec.Struct, frozen=True, kw_only=True):
    """How a session began."""

    format: int = LOG_FORMAT
    code: str
    """Identifies the version of the code that has written the log."""
    boot: str
    """Identifies the run of the machine's clock that the times are of."""
    settings: str
    """Identifies the settings of the session."""
    began_at: float
    """Monotonic seconds."""
    seed: bytes
    """Of the session's ids."""
    incoming: AdmittedCall | None = None
    outbound: OutboundCall | None = None
    """Instead of ``incoming``."""
    script: Script | None
    record: RecordCall | None = None
    """The recording to start when the call is answered (REST)."""
    account_sid: str
    most_targets: int
    public_url: str
    raw_recordings: str
    host: HostId
    """Where the session began."""
    capacity: int
    """Legs that this host can carry."""
    host_session: int
    """Number of the session on this host."""
    relay_records: bool
    is_whole: bool = True
    """False: the log became too long, and the records were dropped."""


class _Input(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class HostAdded(_Input, frozen=True, kw_only=True, tag=True):
    """The session may use a further host."""

    host: HostId
    capacity: int
    session: int
    """Number of the session on this host."""


class HostMissing(_Input, frozen=True, kw_only=True, tag=True):
    """A host that was wanted cannot be had."""


class HostLost(_Input, frozen=True, kw_only=True, tag=True):
    """A host has died."""

    host: HostId


class Due(_Input, frozen=True, kw_only=True, tag=True):
    """A deadline of the session has come."""


class AudioDue(_Input, frozen=True, kw_only=True, tag=True):
    """A deadline of keys or of the placement has come."""


class Faulted(_Input, frozen=True, kw_only=True, tag=True):
    """A service of the node has raised; the session ends because of it."""


_OfNode = HostAdded | HostMissing | HostLost | Due | AudioDue | Faulted
LogInput = SessionInput | AudioEvent | KeyPressed | _OfNode
"""All that can come into a running session."""

Answer = bool | tuple[str, ...]


class LoggedStep(msgspec.Struct, frozen=True, array_like=True):
    """One input of a session, and what was asked and ordered because of it."""

    at: float
    """Monotonic seconds."""
    given: LogInput | None
    """None: only ``looked`` counts; it belongs to the step before."""
    host: HostId = HostId("")
    """The host that has reported it; empty: it came from elsewhere."""
    looked: tuple[Answer, ...] = ()
    """Answers to the session's questions, in their order."""
    check: int = 0
    """Of the outputs (``check_of``)."""


_HEADERS = msgspec.msgpack.Decoder(LogHeader)
_STEPS = msgspec.msgpack.Decoder(LoggedStep)


def check_of(outputs: Iterable[object], check: int = 0) -> int:
    """Return a number that tells outputs apart by their kinds and order; ``check``: of those before them."""
    return zlib.crc32(" ".join([type(output).__name__ for output in outputs]).encode(), check)


def encode_header(header: LogHeader) -> bytes:
    """Return the beginning of a log."""
    return _framed(_ENCODER.encode(header))


def encode_step(step: LoggedStep) -> bytes:
    """Return one record."""
    return _framed(_ENCODER.encode(step))


def _framed(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def read_log(data: bytes) -> tuple[LogHeader, list[LoggedStep], int] | None:
    """Read a log up to its end, or to a record that was not written completely.

    Returns:
        The header, the steps and the size of these records; None: there is no session in it. What was asked
        when the session began is a first step without an input.

    Raises:
        ValueError: the log was written by code that knows other inputs or another format.
    """
    bodies = _bodies(data)
    if not bodies:
        return None
    header = _HEADERS.decode(bodies[0])
    if header.format != LOG_FORMAT:
        raise ValueError(f"input log of format {header.format}")
    steps: list[LoggedStep] = []
    for body in bodies[1:]:
        step = _STEPS.decode(body)
        if step.given is not None:
            steps.append(step)
        elif steps:
            steps[-1] = msgspec.structs.replace(steps[-1], looked=(*steps[-1].looked, *step.looked))
        else:
            steps.append(step)
    return header, steps, sum(_LENGTH.size + len(body) for body in bodies)


def _bodies(data: bytes) -> list[bytes]:
    bodies: list[bytes] = []
    start = 0
    while len(data) - start >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        if not 0 < length <= min(MAX_RECORD, len(data) - start):
            break
        bodies.append(data[start : start + length])
        start += length
    return bodies


class SeededIds:
    """Identifiers of one session (``context.Ids``): random to others, and the same again from the same seed.

    Args:
        seed: 16 random bytes, known to nobody else.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._made = 0

    def call_sid(self) -> CallSid:
        """Return ``CA`` and 32 hexadecimal digits."""
        return CallSid(f"CA{self._next()}")

    def recording_sid(self) -> RecordingSid:
        """Return ``RE`` and 32 hexadecimal digits."""
        return RecordingSid(f"RE{self._next()}")

    def leg(self) -> LegId:
        """Return a leg id that is unique without coordination."""
        return LegId(f"out-{self._next()[:12]}")

    def sip_call_id(self) -> SipCallId:
        """Return a unique Call-ID (RFC 3261 §20.8); it has no host part, so that it discloses no address."""
        return SipCallId(self._next())

    def token(self, of: str) -> str:
        """Return the idempotency token of a request that ``of`` names within the session."""
        return blake2b(of.encode(), digest_size=16, key=self._seed, person=b"token").hexdigest()

    def _next(self) -> str:
        self._made += 1
        number = self._made.to_bytes(8, "big")
        return blake2b(number, digest_size=16, key=self._seed, person=b"id").hexdigest()


class Lookups:
    """What a session asks its node: logged the first time, answered from the log when it is made again.

    Args:
        trunk_is_down: see ``SessionContext``.
        owns_number: likewise.
        knows_dialog: likewise.
        contacts: likewise.
    """

    def __init__(
        self,
        trunk_is_down: Callable[[str], bool],
        owns_number: Callable[[str], bool],
        knows_dialog: Callable[[str], bool],
        contacts: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._trunk_is_down = trunk_is_down
        self._owns_number = owns_number
        self._knows_dialog = knows_dialog
        self._contacts = contacts
        self._made: list[Answer] = []
        self._known: deque[Answer] = deque()

    def trunk_is_down(self, name: str) -> bool:
        """See ``SessionContext``."""
        return bool(self._look(self._trunk_is_down, name))

    def owns_number(self, number: str) -> bool:
        """See ``SessionContext``."""
        return bool(self._look(self._owns_number, number))

    def knows_dialog(self, call_id: str) -> bool:
        """See ``SessionContext``."""
        return bool(self._look(self._knows_dialog, call_id))

    def contacts(self, user: str) -> tuple[str, ...]:
        """See ``SessionContext``."""
        answer = self._look(self._contacts, user)
        return answer if isinstance(answer, tuple) else ()

    def recall(self, answers: Iterable[Answer]) -> None:
        """Answer the next questions like this."""
        self._known = deque(answers)

    def take(self) -> tuple[Answer, ...]:
        """Return the answers since the last call."""
        made, self._made = tuple(self._made), []
        return made

    def _look(self, ask: Callable[[str], Answer], about: str) -> Answer:
        answer = self._known.popleft() if self._known else ask(about)
        self._made.append(answer)
        return answer
