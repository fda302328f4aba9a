"""Creates and configures the pjsua2 library of one worker.

Thread: everything here runs on the SIP thread (the worker's main thread).
"""

import ctypes
import logging
import os
from collections.abc import Callable

import pjsua2 as pj

from b2bua.core.commands import InviteLeg, Srtp
from b2bua.core.errors import CapacityError
from b2bua.engine.protocol import WorkerSpec
from b2bua.engine.timers import Timers
from b2bua.sip.inside import edge_route

__all__ = ["PTIME_MS", "Library", "library_abilities", "library_version"]

PTIME_MS = 20

log = logging.getLogger(__name__)


_MORE_THAN_ANY = 1024
"""Requested as ``maxCalls``, which pjsua2 silently clips to its compiled limit."""


def library_abilities() -> tuple[int, tuple[str, ...]]:
    """Return the number of calls (legs) that the installed library supports, and its codecs, e.g. ``PCMU``.

    Creates and destroys an endpoint.
    """
    ctypes.CDLL(pj._pjsua2.__file__).pj_log_set_level(0)  # else libCreate talks to stdout
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.maxCalls = _MORE_THAN_ANY
    config.uaConfig.threadCnt = 0
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    capacity = _max_calls()
    codecs = tuple(codec.codecId.split("/", 1)[0] for codec in endpoint.codecEnum2())
    endpoint.libDestroy()
    return capacity, codecs


_created: list[pj.Endpoint] = []
"""The endpoint that ``create_endpoint`` has made, until this process or one forked from it takes it."""


def create_endpoint() -> None:
    """Create the endpoint, without anything that a fork would not inherit: no thread, no socket.

    A quarter of the CPU time of a worker's start is spent here, so its fork server does it once for all.
    """
    ctypes.CDLL(pj._pjsua2.__file__).pj_log_set_level(0)  # else libCreate talks to stdout
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    _created.append(endpoint)


def _taken_endpoint() -> pj.Endpoint:
    if not _created:
        create_endpoint()
    # Tags, branches and SSRC come from random numbers, whose state all workers inherit from one process.
    library = ctypes.CDLL(pj._pjsua2.__file__)
    library.pj_srand.argtypes = (ctypes.c_uint,)
    library.pj_srand(int.from_bytes(os.urandom(4)))
    return _created.pop()


def _max_calls() -> int:
    """Return the library's call limit; valid only once the library is initialised."""
    return int(ctypes.CDLL(pj._pjsua2.__file__).pjsua_call_get_max_count())


def _transport_count() -> Callable[[], int]:
    """Return a function that counts the library's SIP sockets, listening TCP sockets not among them."""
    library = ctypes.CDLL(pj._pjsua2.__file__)
    for function in (library.pjsua_get_pjsip_endpt, library.pjsip_endpt_get_tpmgr):
        function.restype = ctypes.c_void_p
    library.pjsip_endpt_get_tpmgr.argtypes = (ctypes.c_void_p,)
    count = library.pjsip_tpmgr_get_transport_count
    count.restype, count.argtypes = ctypes.c_uint, (ctypes.c_void_p,)
    manager = library.pjsip_endpt_get_tpmgr(library.pjsua_get_pjsip_endpt())
    return lambda: int(count(manager))


def library_version() -> str:
    """Return the library's version, e.g. ``2.15.1``."""
    # libVersion needs a created endpoint; the package metadata does not.
    from importlib.metadata import version

    return version("pjsua2-python")


_MAX_OWN_ACCOUNTS = 6
"""Accounts for individual legs, of the eight that the library holds."""


class _Frame(ctypes.Structure):
    """``pjmedia_frame``."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buf", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("timestamp", ctypes.c_uint64),
        ("bit_info", ctypes.c_uint32),
    )


_AUDIO = 1
"""``PJMEDIA_FRAME_TYPE_AUDIO``."""


class _BridgeClock:
    """The conference bridge's master port, taken out of the library's hands.

    Without a sound device the library would drive the bridge from a thread with its own timer (the null
    device). Instead, the caller that asks the master port for frames is the clock: here the worker's one
    thread, which is awake for RTP at these moments anyway. That is one wake-up each 20 ms instead of two or
    more, none when idle, and no second thread in the bridge's queue of operations (docs/adr/0003).

    pjsua2 has no method for this; the C functions are documented ones of pjsua-lib and pjmedia.
    """

    def __init__(self, samples_a_frame: int) -> None:
        self._samples_a_frame = samples_a_frame
        library = ctypes.CDLL(pj._pjsua2.__file__)
        library.pjsua_set_no_snd_dev.restype = ctypes.c_void_p
        self._get_frame = library.pjmedia_port_get_frame
        self._put_frame = library.pjmedia_port_put_frame
        self._get_frame.argtypes = self._put_frame.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Frame))
        self._port = library.pjsua_set_no_snd_dev()
        self._samples = (ctypes.c_int16 * samples_a_frame)()
        self._frame = _Frame(buf=ctypes.addressof(self._samples))
        self._reference = ctypes.byref(self._frame)
        self._no_sound = (ctypes.c_int16 * samples_a_frame)()
        self._silence = _Frame(type=_AUDIO, buf=ctypes.addressof(self._no_sound))
        self._silence_reference = ctypes.byref(self._silence)

    def tick(self) -> None:
        self._frame.size = ctypes.sizeof(self._samples)
        self._get_frame(self._port, self._reference)
        self._frame.timestamp += self._samples_a_frame

    def tick_with_silence(self) -> None:
        self._silence.size = ctypes.sizeof(self._no_sound)
        self._put_frame(self._port, self._silence_reference)
        self.tick()

    @property
    def ticks(self) -> int:
        return int(self._frame.timestamp) // self._samples_a_frame


class _LogWriter(pj.LogWriter):  # type: ignore[misc]
    """Writes the library's warnings and errors to our log.

    Levels above 2 contain message bodies and must never be logged.
    """

    def write(self, entry: pj.LogEntry) -> None:
        log.log(
            logging.ERROR if entry.level <= 1 else logging.WARNING,
            "pjsip log",
            # The library appends the whole of a packet that it cannot parse, below the first line.
            extra={"text": entry.msg.strip().partition("\n")[0]},
        )


class Library:
    """One pjsua2 endpoint with a UDP and a TCP transport on 127.0.0.1 and one account.

    The account's route set is the edge, so every call we dial leaves through it.
    """

    def __init__(self, spec: WorkerSpec, account: pj.Account) -> None:
        self.clock_rate_hz = spec.clock_rate_hz
        self.samples_a_frame = spec.clock_rate_hz * PTIME_MS // 1000
        self.endpoint = _taken_endpoint()
        self._writer = _LogWriter()
        self.endpoint.libInit(_endpoint_config(spec, self._writer))
        self._writer.__disown__()  # libDestroy deletes it
        self._set_codecs(spec.codecs)
        self.sip_port = self._create_transports()
        self.endpoint.libStart()
        self._clock = _BridgeClock(self.samples_a_frame)
        self.timers = Timers()
        self.tick = self._clock.tick
        """Run the conference bridge's next 20 ms: its queued operations, mixing, encoding and sending."""
        self.account = account
        self._account_srtp: Srtp = "optional" if spec.srtp else "off"
        self._configs = {id(account): _account_config(spec, self.sip_port, self._account_srtp)}
        account.create(self._configs[id(account)], True)
        self._spec = spec
        self._of_legs: dict[tuple[str, str, Srtp], pj.Account] = {}
        self.capacity = _max_calls()
        self._count = ctypes.CDLL(pj._pjsua2.__file__).pjsua_call_get_count
        self._transports = _transport_count()
        self._own_transports = self._transports()

    @property
    def ticks(self) -> int:
        """How many times ``tick`` was called."""
        return self._clock.ticks

    def silence(self) -> pj.AudioMedia:
        """Return a source of silence: the bridge's slot for a sound device, which does not exist here."""
        return self.endpoint.audDevManager().getCaptureDevMedia()

    def nowhere(self) -> pj.AudioMedia:
        """Return a sink that discards every frame: the other side of the same slot."""
        return self.endpoint.audDevManager().getPlaybackDevMedia()

    def feed_silence(self, wanted: bool) -> None:
        """Choose whether each tick feeds ``silence()`` a silent frame.

        The source is silent without it too, but by concealing the loss of frames that never arrived, which
        costs 5 µs a frame instead of 1.
        """
        self.tick = self._clock.tick_with_silence if wanted else self._clock.tick

    def call_count(self) -> int:
        """Calls that occupy a slot, including those whose last transaction is still being retransmitted."""
        return int(self._count())

    @property
    def has_connections(self) -> bool:
        """Whether the library has TCP connections, by which a message can arrive; idle ones last 33 s."""
        return self._transports() > self._own_transports

    @property
    def secret(self) -> str:
        """The secret that the node's edge and workers share."""
        return self._spec.secret

    def account_for(self, order: InviteLeg) -> pj.Account:
        """Return the account to dial from.

        A leg gets an account of its own if it has credentials for a challenge or uses SRTP differently from
        incoming legs: pjsua2 configures both on the account.

        Raises:
            CapacityError: the library holds no more accounts; one more would end the process.
        """
        if order.link_to or (not order.username and order.srtp == self._account_srtp):
            return self.account
        key = (order.username, order.password, order.srtp)
        if key in self._of_legs:
            return self._of_legs[key]
        if len(self._of_legs) >= _MAX_OWN_ACCOUNTS:
            raise CapacityError("no free account")
        config = _account_config(self._spec, self.sip_port, order.srtp)
        if order.username:
            # The far end chooses the realm, and no other peer challenges this leg.
            config.sipConfig.authCreds.push_back(
                pj.AuthCredInfo("digest", "*", order.username, 0, order.password)
            )
        account = pj.Account()
        account.create(config, False)
        self._configs[id(account)] = config
        self._of_legs[key] = account
        return account

    def route(self, account: pj.Account, route: str | None) -> None:
        """Set the first hop of an account's new calls; None: the edge, which is the initial one."""
        config = self._configs[id(account)]
        proxies = pj.StringVector()
        proxies.push_back(route or edge_route(self._spec.edge_port, self._spec.secret))
        config.sipConfig.proxies = proxies
        account.modify(config)

    def receive_on(self, account: pj.Account, wanted: bool) -> None:
        """Let a leg's own account use SRTP as the default account does, or again as its legs' orders say."""
        (own,) = (key[2] for key, each in self._of_legs.items() if each is account)
        config = self._configs[id(account)]
        config.mediaConfig.srtpUse = _SRTP_USE[self._account_srtp if wanted else own]
        account.modify(config)

    def end_session(self) -> None:
        """Forget the session's credentials and keys."""
        for account in self._of_legs.values():
            account.shutdown()
            del self._configs[id(account)]
        self._of_legs.clear()

    def _create_transports(self) -> int:
        config = pj.TransportConfig()
        config.boundAddress = "127.0.0.1"
        transport = self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, config)
        # A request over 1,300 bytes is sent over TCP (RFC 3261 §18.1.1).
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TCP, config)
        info = self.endpoint.transportGetInfo(transport)
        return int(info.localName.rpartition(":")[2])

    def _set_codecs(self, wanted: tuple[str, ...]) -> None:
        for codec in self.endpoint.codecEnum2():
            name = codec.codecId.split("/", 1)[0]
            priority = 255 - wanted.index(name) if name in wanted else 0
            self.endpoint.codecSetPriority(codec.codecId, priority)


def _endpoint_config(spec: WorkerSpec, writer: pj.LogWriter) -> pj.EpConfig:
    config = pj.EpConfig()
    ua = config.uaConfig
    ua.threadCnt = 0
    ua.mainThreadOnly = True
    ua.maxCalls = _MORE_THAN_ANY
    ua.userAgent = spec.user_agent
    media = config.medConfig
    media.hasIoqueue = False  # libHandleEvents reads RTP on the one thread
    media.threadCnt = 0
    media.clockRate = spec.clock_rate_hz
    media.sndClockRate = spec.clock_rate_hz
    media.channelCount = 1
    media.audioFramePtime = PTIME_MS
    media.ptime = PTIME_MS
    media.noVad = True  # silence suppression breaks ringback and recordings
    media.ecTailLen = 0
    media.sndAutoCloseTime = -1  # else the clock stops a second after the last connection
    logs = config.logConfig
    logs.level = 2
    logs.consoleLevel = 0
    logs.msgLogging = 0  # bodies hold numbers and digits
    logs.writer = writer
    return config


_SRTP_USE: dict[Srtp, int] = {
    "off": pj.PJMEDIA_SRTP_DISABLED,
    "optional": pj.PJMEDIA_SRTP_OPTIONAL,  # offers RTP/AVP with a=crypto, which every peer understands
    "required": pj.PJMEDIA_SRTP_MANDATORY,
}


def _account_config(spec: WorkerSpec, sip_port: int, srtp: Srtp) -> pj.AccountConfig:
    config = pj.AccountConfig()
    config.idUri = f"sip:{spec.worker}@127.0.0.1"
    sip = config.sipConfig
    # The edge substitutes its own address; the user part tells it which worker has this dialog.
    sip.contactForced = f"<sip:{spec.worker}@127.0.0.1:{sip_port}>"
    sip.proxies.push_back(edge_route(spec.edge_port, spec.secret))
    nat = config.natConfig
    nat.contactRewriteUse = 0
    nat.viaRewriteUse = 0
    nat.sdpNatRewriteUse = 0
    nat.sipOutboundUse = 0
    calls = config.callConfig
    calls.prackUse = pj.PJSUA_100REL_OPTIONAL
    calls.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    rtp = config.mediaConfig.transportConfig
    rtp.port = spec.rtp_port
    rtp.portRange = spec.rtp_ports - 1
    rtp.boundAddress = spec.rtp_bind
    rtp.publicAddress = spec.rtp_advertise
    media = config.mediaConfig
    media.rtcpMuxEnabled = True  # RFC 5761: the relay has one inner port for both
    media.srtpUse = _SRTP_USE[srtp]
    media.srtpSecureSignaling = 0  # TLS ends at the edge, so the library cannot know whether it was used
    media.srtpOpt.keyings.push_back(pj.PJMEDIA_SRTP_KEYING_SDES)
    return config
