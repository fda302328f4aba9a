"""The state table of a worker's leg: the states of its INVITE dialog, its inputs, outputs and transitions.

The machines are in ``leg_machine`` and ``callee_leg``; ``pjleg`` turns the library's callbacks into inputs
and carries out the outputs::

    UAC   invited ──1xx──> proceeding ──18x with SDP──> early ──200──> answered ──ACK sent──> confirmed
    UAS   incoming ──our 200──> answered ──ACK──> confirmed
    replacement  answered ──ACK──> confirmed           (its INVITE has Replaces, and the library answers it)

    answered ──the library's BYE──> closing            (UAC: it cannot agree to the answer)
    proceeding, early ──hangup: CANCEL──> canceling ──200 all the same──> closing
    invited ──hangup──> abandoned ──1xx──> proceeding, early ──200──> answered ──> …
    incoming ──hangup: final response──> closing       confirmed ──hangup: BYE──> closing
    confirmed ──another INVITE has Replaces──> replaced
    any ──Disconnected or Lost──> ended

A leg that has to end has a ``Reason`` beside its state, since this may be known where no hangup may be sent:
before the ACK for our 200 (RFC 3261 §15) and inside a callback.

A CANCEL may not be sent before a provisional response (RFC 3261 §9.1). The library would delay it, and then
send it without our headers. So a leg that is hung up earlier has ended for the controller at once
(``abandoned``), while its INVITE waits: the first response makes the hangup due, and nothing more is posted.

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
    "DialogGone",
    "DialogState",
    "Disconnected",
    "HangUp",
    "HangupOrdered",
    "Input",
    "InviteSent",
    "KeyCame",
    "Lost",
    "MediaBuilt",
    "Notified",
    "Output",
    "Progressed",
    "Reason",
    "ReferAnswered",
    "Replaced",
    "Role",
    "Source",
    "Trying",
]


class Role(StrEnum):
    """How the dialog came about."""

    UAS = "uas"
    UAC = "uac"
    REPLACEMENT = "replacement"
    """We are UAS of an INVITE that replaces an answered leg's dialog (RFC 3891)."""


class DialogState(StrEnum):
    """State of the dialog."""

    INCOMING = "incoming"
    INVITED = "invited"
    """No response has arrived (UAC)."""
    PROCEEDING = "proceeding"
    """A provisional response has arrived, without media (UAC)."""
    EARLY = "early"
    """The callee has negotiated media and has not answered yet (UAC)."""
    ANSWERED = "answered"
    """200 was sent or received, and no ACK yet."""
    CONFIRMED = "confirmed"
    ABANDONED = "abandoned"
    """We have given up before any response: the CANCEL waits for one (UAC)."""
    CANCELING = "canceling"
    """We have hung up before the answer (UAC)."""
    CLOSING = "closing"
    """We have hung up in another state."""
    REPLACED = "replaced"
    """Another dialog is the leg now; this one has yet to end, and reports nothing more."""
    ENDED = "ended"

    @property
    def is_answered(self) -> bool:
        """Whether 200 was sent or received, and the dialog is not over."""
        return self in (DialogState.ANSWERED, DialogState.CONFIRMED, DialogState.CLOSING)

    @property
    def is_hung_up(self) -> bool:
        """Whether we have hung up and the dialog has yet to end."""
        return self in (DialogState.CANCELING, DialogState.CLOSING)

    @property
    def is_over(self) -> bool:
        """Whether the dialog has ended or was replaced, so that its events no longer concern the leg."""
        return self in (DialogState.REPLACED, DialogState.ENDED)

    @property
    def replaces_status(self) -> int:
        """The status of the response to an INVITE that asks to replace this dialog.

        RFC 3891 §3: an unconfirmed dialog gets 481 (not found), one that has ended gets 603 (declined).
        """
        if self is DialogState.CONFIRMED:
            return 200
        return 603 if self.is_hung_up or self.is_over else 481


class Reason(StrEnum):
    """Why we end a leg."""

    ORDERED = "ordered"
    """By the controller."""
    IN_CLEAR = "in_clear"
    """Its media are not encrypted but must be."""
    UNUSABLE = "unusable"
    """The callee describes media that we cannot use: we treat it as a refusal, whatever its status."""


class Source(StrEnum):
    """What caused an event of the library."""

    MESSAGE = "message"
    """A message, or an event without a transaction."""
    TIMER = "timer"
    TRANSPORT = "transport"


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteSent:
    """The INVITE was sent again, with credentials: no response to this one has arrived (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trying:
    """The first provisional response to the INVITE has arrived, possibly 100 (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A provisional response other than 100 has arrived (UAC)."""

    status: int
    has_sdp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """200 was sent (UAS) or received (UAC)."""

    headers: Headers = ()
    """Headers of the callee's 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The ACK was received (UAS) or sent (UAC)."""

    has_audio: bool
    """Audio was negotiated, possibly on hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The dialog is over."""

    source: Source
    status: int
    """As the library reports it: a guess if we have ended the dialog (487, 200 or 603)."""
    reason: str
    message: bytes | None
    """The peer's message that ended the dialog, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The library has forgotten the call and will not report its end."""

    cause: EndCause
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaBuilt:
    """Media were negotiated, for the first time or again."""

    active: bool
    held: bool
    """On hold by the peer."""
    in_clear: bool
    """The media are not encrypted but must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCame:
    """The peer has pressed a key."""

    digit: str
    method: Literal["rfc4733", "info", "inband"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSent:
    """A CANCEL is being sent: unless we have hung up, the library gives up because of a 183 (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByeSent:
    """A BYE is being sent before the ACK: the library gives up because of the callee's answer (UAC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCame:
    """The caller's CANCEL has arrived (UAS)."""

    message: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferAnswered:
    """The final response to our REFER; 500 if the REFER could not be sent."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """A NOTIFY reports the progress of our REFER."""

    status: int
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """An INVITE with Replaces has created a dialog that is the leg from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupOrdered:
    """The controller orders the leg to end."""

    status: int
    """Status of the final response, if one ends the leg."""
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """No callback is running, so a hangup that is due may be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Send a final response, CANCEL or BYE, whichever applies."""

    status: int | None
    """Status of the final response; None: a CANCEL or BYE ends the leg."""
    headers: Headers
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogGone:
    """A dialog is over that was no leg any more: it was replaced, or had ended for the controller before."""


Input = (
    Progressed | Answered | Confirmed | Disconnected | Lost | MediaBuilt | KeyCame | CancelSent | CancelCame
    | ByeSent | ReferAnswered | Notified | Replaced | HangupOrdered | Attended | InviteSent | Trying
)  # fmt: skip
Output = LegEvent | HangUp | DialogGone
Handler = str
"""Name of the method that handles the input."""

_Table = dict[tuple[DialogState, type[Input]], Handler]
_S = DialogState

_OVER: _Table = {
    **{(_S.REPLACED, each): "_on_nothing" for each in get_args(Input)},
    **{(_S.REPLACED, each): "_on_replaced_gone" for each in (Disconnected, Lost)},
    **{(_S.ENDED, each): "_on_nothing" for each in get_args(Input)},
}
"""Callbacks may still arrive after the end, and orders may cross it."""


def _heard_in(*states: DialogState) -> _Table:
    """Inputs that any leg handles until it has ended, whichever side has hung up."""
    return {
        **{(state, MediaBuilt): "_on_media" for state in states},
        **{(state, KeyCame): "_on_key" for state in states},
        **{(state, Disconnected): "_on_disconnected" for state in states},
        **{(state, Lost): "_on_lost" for state in states},
    }


def _transfer_in(*states: DialogState) -> _Table:
    """Inputs about a REFER of ours within an answered dialog."""
    return {
        **{(state, ReferAnswered): "_on_refer_answered" for state in states},
        **{(state, Notified): "_on_notified" for state in states},
    }


def _hangup_in(*states: DialogState) -> _Table:
    """States in which a hangup may be sent at once."""
    return {
        **{(state, HangupOrdered): "_on_hangup" for state in states},
        **{(state, Attended): "_on_attended" for state in states},
    }


def _hung_up_in(*states: DialogState) -> _Table:
    """States in which the hangup has been sent already."""
    return {
        **{(state, HangupOrdered): "_on_nothing" for state in states},
        **{(state, Attended): "_on_nothing" for state in states},
    }


_ANSWERED_BY_US: _Table = {
    # RFC 3261 §15: the callee's UA must not send a BYE before it receives the ACK for its 200.
    (_S.ANSWERED, HangupOrdered): "_on_hangup_before_ack",
    (_S.ANSWERED, Attended): "_on_nothing",
    (_S.CONFIRMED, Replaced): "_on_replaced",
    # The CANCEL has crossed our final response.
    **{(state, CancelCame): "_on_nothing" for state in (_S.ANSWERED, _S.CONFIRMED, _S.CLOSING)},
    **_heard_in(_S.ANSWERED, _S.CONFIRMED, _S.CLOSING),
    **_transfer_in(_S.ANSWERED, _S.CONFIRMED, _S.CLOSING),
    **_hangup_in(_S.CONFIRMED),
    **_hung_up_in(_S.CLOSING),
    **_OVER,
}

_UNANSWERED = (_S.INVITED, _S.PROCEEDING, _S.EARLY, _S.ABANDONED)
"""States of a callee's leg before a final response, unless a CANCEL was sent."""

TRANSITIONS: dict[Role, _Table] = {
    Role.UAS: {
        (_S.INCOMING, Answered): "_on_answered",
        (_S.INCOMING, CancelCame): "_on_cancel_came",
        (_S.ANSWERED, Confirmed): "_on_ack_came",
        **_heard_in(_S.INCOMING),
        **_hangup_in(_S.INCOMING),
        **_ANSWERED_BY_US,
    },
    Role.REPLACEMENT: {
        (_S.ANSWERED, Answered): "_on_nothing",
        (_S.ANSWERED, Confirmed): "_on_replacement_confirmed",
        **_ANSWERED_BY_US,
    },
    Role.UAC: {
        **{(state, Trying): "_on_trying" for state in (_S.INVITED, _S.ABANDONED)},
        (_S.PROCEEDING, InviteSent): "_on_invite_sent",
        **{(state, Progressed): "_on_progressed" for state in (*_UNANSWERED, _S.CANCELING)},
        **{(state, Answered): "_on_answered" for state in _UNANSWERED},
        # RFC 3261 §9.1: the 200 has crossed our CANCEL; the library sends ACK and BYE.
        (_S.CANCELING, Answered): "_on_answered",
        **{(state, CancelSent): "_on_library_cancels" for state in _UNANSWERED},
        (_S.CANCELING, CancelSent): "_on_nothing",
        (_S.ANSWERED, ByeSent): "_on_library_ends",
        (_S.ANSWERED, Confirmed): "_on_ack_sent",
        (_S.CLOSING, Confirmed): "_on_ack_sent_late",
        (_S.CONFIRMED, Replaced): "_on_replaced",
        **_heard_in(*_UNANSWERED, _S.ANSWERED, _S.CONFIRMED, _S.CANCELING, _S.CLOSING),
        **_transfer_in(_S.CONFIRMED, _S.CLOSING),
        **_hangup_in(_S.INVITED, _S.PROCEEDING, _S.EARLY, _S.ANSWERED, _S.CONFIRMED),
        **_hung_up_in(_S.ABANDONED, _S.CANCELING, _S.CLOSING),
        # RFC 3261 §9.1: no CANCEL before a provisional response.
        (_S.INVITED, HangupOrdered): "_on_abandoned",
        (_S.ABANDONED, Attended): "_on_attended_without_response",
        **_OVER,
    },
}
"""Handlers by state and input. A pair that is not listed is logged and changes nothing."""

STATES: dict[Role, frozenset[DialogState]] = {
    role: frozenset(state for state, _ in table) for role, table in TRANSITIONS.items()
}
"""The states that a dialog in each role can be in."""
