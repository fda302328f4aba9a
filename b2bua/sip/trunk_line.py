"""The state of one trunk: its registration, if it wants one, and its reachability by OPTIONS.

Decides which request is next and what an answer means; sends nothing, and knows neither sockets nor DNS.
Source: RFC 3261 §10.2 (REGISTER), §11 (OPTIONS), §17.1.2 (transactions), RFC 5626 §4.5 (back-off).
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from b2bua.core.errors import PeerError
from b2bua.sip.credentials import Challenge, read_challenge
from b2bua.sip.edge_control import TrunkSpec, TrunkState
from b2bua.sip.message import Response
from b2bua.sip.uri import Uri, parse_uri
from b2bua.sip.values import parse_name_addr

__all__ = ["Asking", "Kind", "TrunkLine"]

Kind = Literal["REGISTER", "OPTIONS"]

FIRST_PAUSE_S: Final = 4.0
LONGEST_PAUSE_S: Final = 300.0
REJECTED_PAUSE_S: Final = 300.0
"""Pause after a wrong password: trying more often only gets us banned."""
MAX_EXPIRES_S: Final = 86_400
MIN_EXPIRES_S: Final = 10
REFRESH_AT: Final = 0.8
_OUT_OF_ORDER: Final = frozenset((500, 502, 503, 504, 408))
"""Answers to OPTIONS that mean no call would be accepted. Any other, even 403 or 404, proves reachability."""


@dataclass(slots=True)
class Asking:
    """A request that waits for its answer."""

    kind: Kind
    expires_s: int = 0
    """REGISTER: the requested lifetime; 0 ends the registration."""
    tries: int = 0
    """Number of challenges that it has received."""
    until: float = 0.0
    """Deadline of the answer; set when the request is sent."""


@dataclass(slots=True)
class TrunkLine:
    """The registration and reachability of one trunk.

    Times are seconds of one monotonic clock. ``wants`` returns the requests to send; then either ``answered``
    is called with the answer, or ``missed`` if none arrives.
    """

    spec: TrunkSpec
    uri: Uri = field(init=False)
    registration: Literal["off", "trying", "registered", "failed"] = field(init=False)
    reachable: bool | None = None
    """None: unknown, as no OPTIONS are sent."""
    sip_code: int = 0
    """Status code of the last failure; 0: nothing has failed, or no answer arrived."""
    asking: dict[Kind, Asking] = field(default_factory=dict)
    challenge: Challenge | None = None
    """The last challenge, answered in advance in later requests."""
    count: int = 0
    """How often ``challenge`` was answered."""
    _failures: int = 0
    _expires_s: int = field(init=False)
    _registrar_host: str = ""
    _until: float = 0.0
    """When the registration ends unless it is renewed."""
    _register_at: float = 0.0
    _ping_at: float = 0.0
    _leaving: bool = False

    def __post_init__(self) -> None:
        """Start unregistered."""
        self.uri = parse_uri(self.spec.uri)
        self.registration = "trying" if self.spec.registers else "off"
        self._expires_s = self.spec.expires_s

    @property
    def state(self) -> TrunkState:
        """The state as reported to the controller."""
        return TrunkState(
            trunk=self.spec.name,
            registration=self.registration,
            reachable=self.reachable,
            sip_code=self.sip_code,
        )

    @property
    def registrar(self) -> str:
        """Request-URI of REGISTER and OPTIONS, without a user part (RFC 3261 §10.2)."""
        port = "" if self.uri.port is None else f":{self.uri.port}"
        params = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.uri.params)
        return f"{self.uri.scheme}:{self.uri.host}{port}{params}"

    def is_at(self, host: str) -> bool:
        """Whether we are registered at this address now, so that calls from there are the trunk's."""
        return self.registration == "registered" and self._registrar_host == host

    def lapse(self, now: float) -> None:
        """Run once a second: let a registration that was not renewed in time fail."""
        if self.registration == "registered" and now >= self._until:
            self.registration, self.sip_code = "failed", 0

    # -- requests -----------------------------------------------------------------------------------

    def wants(self, now: float) -> list[Asking]:
        """Return the requests that are due; they count as sent."""
        due: list[Asking] = []
        if self.spec.registers and not self._leaving and now >= self._register_at:
            due += self._ask("REGISTER", self._expires_s)
        if self.spec.keepalive_s and now >= self._ping_at:
            due += self._ask("OPTIONS")
        return due

    def leave(self) -> list[Asking]:
        """End the registration, if there is one; the line does not register again."""
        self._leaving = True
        self.asking.pop("REGISTER", None)
        return self._ask("REGISTER") if self.registration == "registered" else []

    def _ask(self, kind: Kind, expires_s: int = 0) -> list[Asking]:
        if kind in self.asking:
            return []
        asking = self.asking[kind] = Asking(kind, expires_s)
        return [asking]

    # -- results ------------------------------------------------------------------------------------

    def missed(self, kind: Kind, now: float) -> None:
        """Note that no answer has arrived in time, or that the request could not be sent."""
        asking = self.asking.pop(kind)
        if kind == "OPTIONS":
            self._pinged(False, 0, now)
        elif asking.expires_s:
            self._refused(0, now, 0.0)

    def answered(self, kind: Kind, response: Response, host: str, now: float) -> list[Asking]:
        """Handle a final response from an address; return the requests to send at once."""
        asking = self.asking.pop(kind)
        if kind == "OPTIONS":
            self._pinged(response.status not in _OUT_OF_ORDER, response.status, now)
            return []
        if response.status < 300:
            self._registered(asking, response, host, now)
            return []
        again = self._again(asking, response)
        if again is None and asking.expires_s:
            wrong = response.status in (401, 403, 407)
            pause = REJECTED_PAUSE_S if wrong else _seconds(response.get("retry-after"))
            self._refused(response.status, now, pause)
        return [] if again is None else [again]

    def _again(self, asking: Asking, response: Response) -> Asking | None:
        """Return the request again with what it lacked (credentials, a longer lifetime); None if unknown."""
        challenge = read_challenge(response)
        expires_s = asking.expires_s
        if challenge is not None and self.spec.username:
            if asking.tries >= (2 if challenge.stale else 1):
                return None  # our answer was rejected
            if self.challenge is None or self.challenge.nonce != challenge.nonce:
                self.challenge, self.count = challenge, 0
        elif response.status == 423 and expires_s:
            wanted = int(_seconds(response.get("min-expires")))
            if not expires_s < wanted <= MAX_EXPIRES_S:
                return None
            self._expires_s = expires_s = wanted
        else:
            return None
        tries = asking.tries + (challenge is not None)
        again = self.asking["REGISTER"] = Asking("REGISTER", expires_s, tries)
        return again

    def _registered(self, asking: Asking, response: Response, host: str, now: float) -> None:
        if not asking.expires_s:
            self.registration = "off"
            return
        granted = _granted(response, self.spec.username, asking.expires_s)
        lasts_s = max(MIN_EXPIRES_S, granted)
        self.registration, self.sip_code, self._failures = "registered", 0, 0
        self._registrar_host, self._until = host, now + lasts_s
        self._register_at = now + lasts_s * REFRESH_AT

    def _refused(self, status: int, now: float, pause_s: float) -> None:
        self.registration, self.sip_code = "failed", status
        self.challenge = None
        self._failures += 1
        backed_off = FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 10)
        self._register_at = now + min(LONGEST_PAUSE_S, max(pause_s, backed_off))

    def _pinged(self, there: bool, status: int, now: float) -> None:
        self.reachable = there
        if not there:
            self.sip_code = status
        self._ping_at = now + self.spec.keepalive_s


def _seconds(value: str | None) -> float:
    """Return the number at the beginning of a header value, bounded; 0 if there is none."""
    digits = (value or "").strip()[:6]
    digits = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    return float(digits or 0)


def _granted(response: Response, username: str, asked_s: int) -> int:
    """Return the granted lifetime of a 200 (RFC 3261 §10.2.4): expires of our Contact, else Expires."""
    for value in response.all("contact"):
        try:
            contact = parse_name_addr(value)
        except PeerError:
            continue
        said = contact.param("expires")
        if contact.uri.user == username and said:
            return min(int(_seconds(said)), asked_s)
    expires = response.get("expires")
    return asked_s if expires is None else min(int(_seconds(expires)), asked_s)
