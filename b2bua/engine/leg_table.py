"""The table of a worker's leg: the states of its INVITE dialog, what can happen to it, and what is done when.

The machine itself is ``leg_machine``; ``pjleg`` makes its inputs of the library's callbacks and carries its
outputs out::

    UAC   invited ──18x with SDP──> early ──200──> answered ──ACK sent──> confirmed
    UAS   incoming ──our 200──> answered ──ACK──> confirmed
    heir  answered ──ACK──> confirmed                  (its INVITE has Replaces, and the library answers it)

    answered ──the library's BYE──> closing            (UAC: it cannot agree to the answer)
    invited, early ──hangup: CANCEL──> canceling ──200 all the same──> closing
    incoming ──hangup: final response──> closing       confirmed ──hangup: BYE──> closing
    confirmed ──another INVITE has Replaces──> replaced
    any ──Disconnected or Lost──> ended

That a leg is to end is a ``Reason`` beside its state: it may be known where no hangup may be sent, before the
ACK for our 200 (RFC 3261 §15) and inside a callback.

Sources: RFC 3261 §9, §13, §15; RFC 3891 (Replaces); RFC 3515 (REFER).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from b2bua.core.events import EndCause, Headers, LegEvent

__all__ = [
    "STATES",
    "TRANSITIONS",
    "Answered",
    "Attended",
    "ByeSent",
    "CancelCame",
    "CancelSent",
    "Confirmed",
    "DialogState",
    "Disconnected",
    "HangUp",
    "HangupOrdered",
    "Input",
    "KeyCame",
    "Lost",
    "MediaBuilt",
    "Notified",
    "Output",
    "Progressed",
    "Reason",
    "ReferAnswered",
    "Replaced",
    "ReplacedGone",
    "Role",
    "Source",
]


class Role(StrEnum):
    """How the dialog came about."""

    UAS = "uas"
    UAC = "uac"
    HEIR = "heir"
    """We are UAS of an INVITE that has taken the place of an answered leg (RFC 3891)."""


class DialogState(StrEnum):
    """Where the dialog is."""

    INCOMING = "incoming"
    INVITED = "invited"
    EARLY = "early"
    """The callee has agreed on media and has not answered yet (UAC)."""
    ANSWERED = "answered"
    """200 was sent or has come, and no ACK yet."""
    CONFIRMED = "confirmed"
    CANCELING = "canceling"
    """We have hung up before the answer (UAC)."""
    CLOSING = "closing"
    """We have hung up otherwise."""
    REPLACED = "replaced"
    """Another dialog is the leg now; this one has still to end, and has nothing more to say."""
    ENDED = "ended"

    @property
    def is_answered(self) -> bool:
        """200 was sent or has come, and the dialog is not over."""
        return self in (DialogState.ANSWERED, DialogState.CONFIRMED, DialogState.CLOSING)

    @property
    def is_hung_up(self) -> bool:
        """By us; its end has still to come."""
        return self in (DialogState.CANCELING, DialogState.CLOSING)

    @property
    def is_over(self) -> bool:
        """Ended or replaced: nothing that comes is the leg's any more."""
        return self in (DialogState.REPLACED, DialogState.ENDED)

    @property
    def replaces_status(self) -> int:
        """The response to an INVITE that is to take this dialog's place.

        RFC 3891 §3: what rings is not to be had, what has ended is declined.
        """
        if self is DialogState.CONFIRMED:
            return 200
        return 603 if self.is_hung_up or self.is_over else 481


class Reason(StrEnum):
    """Why a leg is to end by our doing."""

    ORDERED = "ordered"
    """By the controller."""
    IN_CLEAR = "in_clear"
    """Its media are not encrypted, and have to be."""
    UNUSABLE = "unusable"
    """The callee describes media that cannot be had: to us it has refused, whatever it says."""


class Source(StrEnum):
    """What has made an event of the library's."""

    MESSAGE = "message"
    """Or what has no transaction."""
    TIMER = "timer"
    TRANSPORT = "transport"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A provisional response other than 100 has come (UAC)."""

    status: int
    has_sdp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """200 was sent (UAS) or has come (UAC)."""

    headers: Headers = ()
    """Of the callee's 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The ACK has come (UAS) or was sent (UAC)."""

    has_audio: bool
    """Audio was agreed on, be it on hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The dialog is over."""

    source: Source
    status: int
    """The library's word for it: a guess where we have ended it (487, 200 or 603)."""
    reason: str
    message: bytes | None
    """What has ended it, if that has come from the peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The library has forgotten the call, and will not say that it is over."""

    cause: EndCause
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaBuilt:
    """Media were agreed on, for the first time or again."""

    active: bool
    held: bool
    """By the peer."""
    in_clear: bool
    """They are not encrypted, and have to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCame:
    """The peer has pressed a key."""

    digit: str
    method: Literal["rfc4733", "info", "inband"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSent:
    """A CANCEL leaves: where we have not hung up, the library gives up because of a 183 (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByeSent:
    """A BYE leaves before the ACK: the library gives up because of the callee's answer (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCame:
    """The caller's (UAS)."""

    message: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferAnswered:
    """The final response to our REFER; 500 where it could not be sent."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """A NOTIFY says how our REFER goes."""

    status: int
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """An INVITE with Replaces has made a dialog that is the leg from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupOrdered:
    """The controller wants it to end."""

    status: int
    """Of the final response, where one ends it."""
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """No callback is under way: what is due may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Send a final response, CANCEL or BYE, whichever applies."""

    status: int | None
    """Of the final response; None: another request or response ends it."""
    headers: Headers
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedGone:
    """What was replaced is over."""


Input = (
    Progressed | Answered | Confirmed | Disconnected | Lost | MediaBuilt | KeyCame | CancelSent | CancelCame
    | ByeSent | ReferAnswered | Notified | Replaced | HangupOrdered | Attended
)  # fmt: skip
Output = LegEvent | HangUp | ReplacedGone
Handler = str
"""Name of the method that takes the input."""

_Table = dict[tuple[DialogState, type[Input]], Handler]
_S = DialogState

_OVER: _Table = {
    **{(_S.REPLACED, each): "_on_nothing" for each in get_args(Input)},
    (_S.REPLACED, Disconnected): "_on_replaced_gone",
    **{(_S.ENDED, each): "_on_nothing" for each in get_args(Input)},
}
"""Callbacks may still come, and orders may cross the end."""


def _heard_in(*states: DialogState) -> _Table:
    """What any leg hears until it has ended, whoever has hung up."""
    return {
        **{(state, MediaBuilt): "_on_media" for state in states},
        **{(state, KeyCame): "_on_key" for state in states},
        **{(state, Disconnected): "_on_disconnected" for state in states},
        **{(state, Lost): "_on_lost" for state in states},
    }


def _transfer_in(*states: DialogState) -> _Table:
    """A REFER of ours, within an answered dialog."""
    return {
        **{(state, ReferAnswered): "_on_refer_answered" for state in states},
        **{(state, Notified): "_on_notified" for state in states},
    }


def _hangup_in(*states: DialogState) -> _Table:
    """Where it may be sent at once."""
    return {
        **{(state, HangupOrdered): "_on_hangup" for state in states},
        **{(state, Attended): "_on_attended" for state in states},
    }


def _hung_up_in(*states: DialogState) -> _Table:
    """Where it was sent already."""
    return {
        **{(state, HangupOrdered): "_on_nothing" for state in states},
        **{(state, Attended): "_on_nothing" for state in states},
    }


_ANSWERED_BY_US: _Table = {
    # RFC 3261 §15: the callee's UA must not send a BYE before the ACK for its 200 has come.
    (_S.ANSWERED, HangupOrdered): "_on_hangup_before_ack",
    (_S.ANSWERED, Attended): "_on_nothing",
    (_S.CONFIRMED, Replaced): "_on_replaced",
    # It has crossed our final response.
    **{(state, CancelCame): "_on_nothing" for state in (_S.ANSWERED, _S.CONFIRMED, _S.CLOSING)},
    **_heard_in(_S.ANSWERED, _S.CONFIRMED, _S.CLOSING),
    **_transfer_in(_S.ANSWERED, _S.CONFIRMED, _S.CLOSING),
    **_hangup_in(_S.CONFIRMED),
    **_hung_up_in(_S.CLOSING),
    **_OVER,
}

TRANSITIONS: dict[Role, _Table] = {
    Role.UAS: {
        (_S.INCOMING, Answered): "_on_answered",
        (_S.INCOMING, CancelCame): "_on_cancel_came",
        (_S.ANSWERED, Confirmed): "_on_ack_came",
        **_heard_in(_S.INCOMING),
        **_hangup_in(_S.INCOMING),
        **_ANSWERED_BY_US,
    },
    Role.HEIR: {
        (_S.ANSWERED, Answered): "_on_nothing",
        (_S.ANSWERED, Confirmed): "_on_heir_confirmed",
        **_ANSWERED_BY_US,
    },
    Role.UAC: {
        (_S.INVITED, Progressed): "_on_progressed",
        (_S.EARLY, Progressed): "_on_progressed",
        (_S.CANCELING, Progressed): "_on_progressed",
        (_S.INVITED, Answered): "_on_answered",
        (_S.EARLY, Answered): "_on_answered",
        # RFC 3261 §9.1: it has crossed our CANCEL; the library sends ACK and BYE.
        (_S.CANCELING, Answered): "_on_answered",
        (_S.INVITED, CancelSent): "_on_library_cancels",
        (_S.EARLY, CancelSent): "_on_library_cancels",
        (_S.CANCELING, CancelSent): "_on_nothing",
        (_S.ANSWERED, ByeSent): "_on_library_ends",
        (_S.ANSWERED, Confirmed): "_on_ack_sent",
        (_S.CLOSING, Confirmed): "_on_ack_sent_late",
        (_S.CONFIRMED, Replaced): "_on_replaced",
        **_heard_in(_S.INVITED, _S.EARLY, _S.ANSWERED, _S.CONFIRMED, _S.CANCELING, _S.CLOSING),
        **_transfer_in(_S.CONFIRMED, _S.CLOSING),
        **_hangup_in(_S.INVITED, _S.EARLY, _S.ANSWERED, _S.CONFIRMED),
        **_hung_up_in(_S.CANCELING, _S.CLOSING),
        **_OVER,
    },
}
"""What is done when. What is not listed is logged, and changes nothing."""

STATES: dict[Role, frozenset[DialogState]] = {
    role: frozenset(state for state, _ in table) for role, table in TRANSITIONS.items()
}
"""Those that a dialog of this kind can be in."""
