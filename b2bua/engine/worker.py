"""A worker: one process, one pjsua2 endpoint, one session at a time (a caller's leg and those it dials).

It knows legs and media and nothing of TwiML. Events go to the controller, and commands come from it, over one
Unix socket. Everything, the library included, runs on the main thread: a loop that sleeps in ``select`` on
the control socket and the SIP sockets and then lets the library handle its events. While there are media it
also wakes every 20 ms, reads the RTP that has arrived, and lets the conference bridge process one frame: this
thread is the bridge's clock (docs/adr/0003). All workers on the machine wake at the same moments, so that one
timer interrupt serves them all.

Thread: the SIP thread.
"""

import gc
import logging
import os
import select
import time

import msgspec
import pjsua2 as pj

from b2bua.core import commands
from b2bua.core.events import DtmfReceived, LegEnded, LegReferred, MachineJudged, SessionEvent
from b2bua.core.ids import LegId
from b2bua.engine.controller_link import KNOCK_S, ControllerLink
from b2bua.engine.early_media import EarlyMedia
from b2bua.engine.endpoint import Library
from b2bua.engine.frame_clock import FrameClock
from b2bua.engine.graph import MediaGraph, MediaPart
from b2bua.engine.invites import Account, incoming_leg, read_invite, refuse, status_of_refusal
from b2bua.engine.keys import TAP, KeyTaps
from b2bua.engine.leg_registry import LegRegistry
from b2bua.engine.machines import JUDGE, MachineWatches
from b2bua.engine.pjleg import PjLeg
from b2bua.engine.prompt_players import PROMPT, PromptPlayers
from b2bua.engine.protocol import Resume, Retire, SessionDone, ToWorker, WorkerHello, WorkerSpec
from b2bua.engine.recorders import RECORDER, Recorders
from b2bua.engine.refer import Transferors
from b2bua.engine.session_memory import SessionMemory
from b2bua.engine.silence import SilenceWatches
from b2bua.engine.sockets import socket_fds
from b2bua.engine.upkeep import Pace, Upkeep
from b2bua.sip.inside import is_from_edge
from b2bua.sip.message import Message

__all__ = ["Worker", "run_worker"]

log = logging.getLogger(__name__)

_IDLE_SLEEP_S = 30.0
"""In an idle worker nothing is due but the library's timers."""
_TWO_TICKS_S = 0.045


class Worker:
    """The worker's loop, which handles callbacks and commands.

    Args:
        spec: settings.
        life: descriptor of the node's life line; None: there is none.
    """

    def __init__(self, spec: WorkerSpec, life: int | None = None) -> None:
        self._spec = spec
        self._life = life
        self._link = ControllerLink(spec.control_path, spec.orphan_grace_s)
        before = socket_fds()
        self._library = Library(spec, Account(self))
        self._transferors = Transferors(self._library, self)
        self._legs = LegRegistry(self._library, self, spec.worker)
        legs = self._legs.live
        self._recorders = Recorders(self._library, self.post)
        self._prompts = PromptPlayers(self._library, self.post, spec.tones_folder)
        self._taps = KeyTaps(self._library, legs, self._legs.tone_heard, self)
        self._silence = SilenceWatches(legs, self.post)
        self._machines = MachineWatches(self._library, legs, self.post, self)
        self._early_media = EarlyMedia(legs, self.post)
        self._parts = (self._recorders, self._prompts, self._taps, self._machines)
        kinds = (RECORDER, PROMPT, TAP, JUDGE)
        parts: dict[str, MediaPart] = dict(zip(kinds, self._parts, strict=True))
        self._graph = MediaGraph(self._library, legs, parts, spec.tones_folder)
        self._out: list[msgspec.Struct] = []
        self._memory = SessionMemory()
        self._is_followed = True  # else the controller does not know the session yet, whose events wait
        self._wakers = [*(socket_fds() - before), *(() if life is None else (life,))]
        self._busy = False
        self._clock = FrameClock()
        self._upkeep = Upkeep()
        self._with_media: set[LegId] = set()
        self._session_over = False
        self._cleared_at = 0.0
        self._attention = False
        """Whether ``_attend`` has to run before the loop sleeps again."""
        self._sessions = 0
        self._healthy = True
        self._retired = False

    # -- called by callbacks ------------------------------------------------------------------------

    def post(self, event: SessionEvent) -> None:
        """See ``LegSink``."""
        if isinstance(event, LegEnded):
            self._with_media.discard(event.leg)
            self._prompts.leg_ended(event.leg)
            self._transferors.leg_ended(event.leg)
            self._graph.leg_changed(event.leg)
            self._legs.forget(event.leg)
        elif isinstance(event, DtmfReceived | MachineJudged):
            self._graph.parts_changed()  # a leg that signals its keys, or is judged, is no longer tapped
        self._memory.told(event)
        self._out.append(event)
        self._attention = True

    def media_changed(self, leg: LegId) -> None:
        """See ``LegSink``."""
        self._with_media.add(leg)
        self._clock.media_changed(time.monotonic())
        self._graph.leg_changed(leg)
        self._attention = True

    def take_refer(self, referred: LegReferred) -> pj.Call | int:
        """See ``LegSink``."""
        return self._transferors.take(referred, self._legs.account_of(referred.leg))

    def last_notify_answered(self, leg: LegId) -> None:
        """See ``LegSink``."""
        self._transferors.notify_answered(leg)

    def replacing(self, leg: LegId) -> None:
        """See ``LegSink``."""
        self._legs.expect_replacement(leg)
        self._attention = True

    def replaced(self, leg: PjLeg, pj_id: int, invite: Message) -> PjLeg:
        """See ``LegSink``. To the controller it remains the same leg: its media move, no event is posted."""
        self._graph.leg_changed(leg.leg)
        self._attention = True
        return self._legs.replace(leg, pj_id, invite)

    def dialog_gone(self, leg: PjLeg) -> None:
        """See ``LegSink``."""
        self._legs.dialog_gone(leg)

    def is_from_edge(self, request: Message) -> bool:
        """See ``LegSink``."""
        return is_from_edge(request, self._spec.secret)

    def fault(self, where: str) -> None:
        """See ``LegSink``."""
        self._healthy = False

    def incoming(self, pj_id: int, message: bytes) -> None:
        """See ``InviteSink``."""
        request = read_invite(message)
        takes_links = self._busy and not self._session_over
        status = status_of_refusal(request, self._spec.secret, takes_links=takes_links)
        if status is not None:
            refuse(self._library.account, pj_id, status)
            return
        self._begin()
        self._attention = True
        leg = self._legs.add_incoming(pj_id, request)
        self.post(incoming_leg(leg.leg, request))
        self._flush()  # the library has more work with the INVITE, which the node need not wait for

    # -- the loop -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until retired, until the node is over, or without a controller for too long.

        Only this function and ``tick`` run every 20 ms in a quiet call: everything below ``_attend`` runs
        only when there is a reason.
        """
        self._greet()
        sink = self._transferors.fileno()
        handle_events = self._library.endpoint.libHandleEvents
        now = time.monotonic()
        while not self._retired:
            control = self._link.fileno()
            ready = select.select(
                self._wakers if control is None else [control, *self._wakers], (), (), self._pause(now)
            )[0]
            if self._life in ready:
                break
            if control is None:
                if self._link.connects(time.monotonic()):
                    self._greet()
                elif self._link.is_lost(time.monotonic()):
                    break
            elif control in ready:
                for message in self._link.receive():
                    self._take(message)
            stirred = bool(ready)
            while handle_events(0):
                stirred = True
                if not ready:
                    break
                self._attention = True
            if sink in ready:
                # Even if no transfer is in progress (a BYE retransmitted under load): an unread datagram
                # would wake us for ever.
                self._transferors.receive()
                self._attention = True
            now = time.monotonic()
            if stirred:
                self._upkeep.stir(now)
            if self._out:
                self._flush()  # the controller need not wait for the rest
            if self._clock.runs and self._clock.next_frame <= now:
                self._run_clock(now)
            if self._attention or self._upkeep.is_due(now):
                self._attend(now)
        self._shut_down()

    def _greet(self) -> None:
        """Say hello; a controller that comes after another says next how much of the session it knows."""
        self._out.clear()
        self._is_followed = not self._busy or self._session_over
        hello = WorkerHello(
            worker=self._spec.worker,
            sip_port=self._library.sip_port,
            pid=os.getpid(),
            capacity=self._library.capacity,
            sessions=self._sessions,
            busy=self._busy,
            ending=self._session_over,
            healthy=self._healthy,
            rtp_port=self._spec.rtp_port,
            events=self._memory.events,
            orders=self._memory.orders,
            recordings=tuple(self._memory.recordings),
            legs=tuple(self._legs.live),
        )
        self._link.send([hello])

    def _pause(self, now: float) -> float:
        """Return how long the loop may sleep: until the next frame, upkeep or timer of the library."""
        if self._clock.runs:
            return max(0.0, self._clock.next_frame - now)
        if self._link.fileno() is None:
            return min(KNOCK_S, self._library.timers.pause_s(KNOCK_S))
        return self._library.timers.pause_s(self._upkeep.pause_s(now) if self._busy else _IDLE_SLEEP_S)

    def _pace(self, now: float) -> Pace:
        if self._early_media.busy:
            return "early"  # the clock runs then, so this causes no extra wake-up
        if self._clock.runs:
            return "often"  # at one of these times it may stop
        # ``select`` does not know the connections that the library has opened.
        unheard = self._library.has_connections
        if self._clock.may_rest and self._legs.are_settled and (self._upkeep.calm(now) or not unheard):
            return "resting"
        looks = self._silence.busy or self._machines.watching or self._transferors.busy or self._legs.waiting
        return "often" if looks or unheard else "seldom"

    def _set_clock(self, now: float) -> None:
        """Run the bridge only while there are media: a call that is only ringing does not need it."""
        # Players stay until the session ends, whether they play or not.
        has_players = self._graph.has_players and not self._clock.may_rest
        self._clock.set(
            has_media=bool(self._with_media),
            has_work=has_players or any(part.busy for part in self._parts),
            now=now,
        )

    def _run_clock(self, now: float) -> None:
        """Let the bridge process every frame that is due."""
        while self._clock.take(now):
            self._library.tick()
            if self._prompts.playing and self._prompts.step():
                self._graph.parts_changed()
                self._graph.reconcile()
        self._attention = self._attention or self._clock.may_stop(now)

    def _attend(self, now: float) -> None:
        """Do everything that is not audio: work left by callbacks and commands, and regular upkeep."""
        self._attention = False
        self._legs.attend(now)
        if self._transferors.busy:
            for order in self._transferors.step():
                self._obey(order)
        self._graph.reconcile()
        self._prompts.begin(self._graph.connected)
        if self._prompts.ended:
            self._prompts.drop_ended()
            self._attention = True
        for taps in (self._taps, self._machines):
            if taps.busy:
                taps.drop_unused()
                self._attention = self._attention or taps.ended
        if self._recorders.stopping:
            self._recorders.step()
            self._attention = True
        if upkeep := self._upkeep.is_due(now):
            self._early_media.look(now)
            self._silence.look(now)
            self._machines.look(now)
            if self._legs.reap() or self._transferors.reap():
                self._healthy = False
        if self._session_over and not self._legs.live:
            self._finish_session(now)
        self._set_clock(now)
        if upkeep:
            self._upkeep.done(self._pace(now), now)
        self._flush()

    def _flush(self) -> None:
        if self._link.fileno() is None:
            return  # the next controller will hear of it
        if self._out and self._is_followed:
            out, self._out = self._out, []
            self._link.send(out)
        else:
            self._link.flush()

    def _begin(self) -> None:
        if not self._busy:
            self._busy = True
            self._session_over = False
            self._clock.stay()
            self._cleared_at = 0.0

    # -- commands -----------------------------------------------------------------------------------

    def _take(self, message: ToWorker) -> None:
        if isinstance(message, Retire):
            self._retired = True
        elif message.session != self._sessions + 1:
            log.warning("orders of another session", extra={"session": message.session})
        elif isinstance(message, Resume):
            self._is_followed = True
            self._out = [*self._memory.since(message.heard)]
            self._attention = True
        else:
            self._memory.obeyed(message.orders)
            for order in message.orders:
                self._obey(order)

    def _obey(self, order: commands.HostCommand) -> None:
        try:
            self._carry_out(order)
        except pj.Error as error:
            log.error(
                "the library refused a command",
                extra={"command": type(order).__name__, "status": error.status, "title": error.title},
            )
            self._healthy = False

    def _carry_out(self, order: commands.HostCommand) -> None:
        self._attention = True
        if isinstance(order, commands.InviteLeg | commands.StartRecording):
            self._begin()
        match order:
            case commands.InviteLeg():
                self._legs.invite(order)
            case commands.SetMedia():
                self._graph.want(order.connections)
            case commands.StartRecording() | commands.RecordLegs() | commands.StopRecording():
                self._recorders.obey(order)
                self._graph.parts_changed()
                self._graph.reconcile()  # before the next frame, which would otherwise be on one side only
            case commands.WatchSilence():
                self._silence.watch(order, time.monotonic())
            case commands.WatchForMachine():
                self._machines.watch(order, time.monotonic())
                self._graph.parts_changed()
            case commands.StartPrompt():
                self._prompts.start(order, leg_is_live=order.leg in self._legs.live)
                self._graph.parts_changed()
            case commands.StopPrompt():
                self._prompts.stop(order.prompt)
                self._graph.parts_changed()
            case commands.ListenForKeys():
                self._taps.listen(order.leg, order.wanted)
                self._graph.parts_changed()
            case commands.NotifyTransfer():
                self._transferors.notify(order.leg, order.sip_code)
            case commands.RestClock():
                self._clock.rest(time.monotonic()) if order.resting else self._clock.stay()
            case commands.EndSession():
                self._session_over = True
                self._clock.stay()
            case commands.HangupLeg() if self._legs.withdraw(order.leg):
                pass
            case commands.HangupLeg() if self._transferors.holds_back(order):
                pass
            case _:
                self._legs.act(order)

    # -- ending -------------------------------------------------------------------------------------

    def _finish_session(self, now: float) -> None:
        if not self._cleared_at:
            for part in self._parts:
                part.stop_all()
            self._transferors.stop_all()
            self._graph.clear()
            self._cleared_at = now
        if self._graph.has_players and now < self._cleared_at + _TWO_TICKS_S:
            return
        if self._library.call_count() or not self._legs.empty:
            return
        if self._transferors.busy or any(p.busy for p in self._parts):
            return
        self._graph.drop_players()
        self._library.end_session()
        self._busy = self._session_over = False
        self._memory = SessionMemory()
        self._sessions += 1
        self._out.append(SessionDone(sessions=self._sessions, healthy=self._healthy))

    def _shut_down(self) -> None:
        """End everything, then exit.

        The order matters: recorders and legs, players, two ticks, account, library; any other order asserts.
        """
        self._recorders.stop_all()
        self._prompts.stop_all()
        self._legs.end_all()
        deadline = time.monotonic() + 1.0
        self._graph.clear()
        # Before the legs' last transactions: if the edge has died as well, they get no response.
        while self._recorders.busy and time.monotonic() < deadline:
            self._library.tick()
            self._recorders.step()
        while self._library.call_count() and (now := time.monotonic()) < deadline:
            self._library.endpoint.libHandleEvents(10)
            self._legs.attend(now)
        self._legs.drop_all()
        os._exit(0)  # the kernel frees the rest; libDestroy with a live call aborts


def run_worker(spec: WorkerSpec, life: int | None = None) -> None:
    """Run a worker in the forked process until it ends; ``life``: descriptor of the node's life line."""
    gc.freeze()
    Worker(spec, life).run()
