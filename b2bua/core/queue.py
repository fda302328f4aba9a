"""A queue: callers wait in order until an agent takes them out, or until they leave.

A queue is a machine without I/O. Each entrance of a caller has exactly one ``CallerDone``, each entrance of
an agent exactly one ``AgentDone``, and a call is in at most one bridge. A caller that is given to an agent no
longer waits; it returns to its old place, with its old time, if the agent leaves before the bridge. If the
caller leaves before the bridge, the agent waits on for the rest of its time.

Files: ``queue_table`` (stages and transitions), ``queue_inputs``, ``queue_outputs``, ``queue_members``,
``queue_course`` (offering, bridging and finishing).
Source: TwiML ``<Enqueue>``, ``<Queue>``, the Queue and Member resources (read November 2026).
"""

from b2bua.core.ids import CallSid
from b2bua.core.queue_course import QueueCourse
from b2bua.core.queue_inputs import (
    AgentEntered,
    AgentLeft,
    CallerEntered,
    CallerLeft,
    CloseQueue,
    DequeueCaller,
    OfferEnded,
    PrioritizeCaller,
    QueueInput,
    ResizeQueue,
    WaitEnded,
    WaitFailed,
    WaitFetched,
)
from b2bua.core.queue_members import Agent, Caller
from b2bua.core.queue_outputs import (
    AgentDone,
    CallerDone,
    PlayRingback,
    PlayWait,
    QueueOutput,
    QueueResult,
    SayPosition,
    StopOffer,
)
from b2bua.core.queue_table import AGENTS, CALLERS, EXITS, Stage
from b2bua.core.room_outputs import OrderRefused
from b2bua.core.unexpected import UnexpectedEvents

__all__ = ["Queue"]


class Queue:
    """One queue.

    Args:
        max_size: places, 1..5000.
    """

    def __init__(self, max_size: int = 1000) -> None:
        self.unexpected = UnexpectedEvents("queue")
        """Inputs that were not legal, by stage and name."""
        self._course = QueueCourse(max_size)

    @property
    def waiting(self) -> list[Caller]:
        """The callers that wait, the first one first."""
        return self._course.waiting

    @property
    def max_size(self) -> int:
        """Places for callers that wait."""
        return self._course.max_size

    def has(self, call: CallSid) -> bool:
        """Return whether a call is in it, as caller or agent."""
        return call in self._course.callers or call in self._course.agents

    @property
    def calls(self) -> list[CallSid]:
        """All calls that are in it."""
        return [*self._course.callers, *self._course.agents]

    @property
    def unused(self) -> bool:
        """Whether nobody waits, is offered or is bridged."""
        return not self._course.callers and not self._course.agents

    def average_wait_s(self, now: float) -> int:
        """Return the mean wait of those who wait now; 0: nobody does."""
        return self._course.average_wait_s(now)

    def handle(self, event: QueueInput, now: float) -> list[QueueOutput]:
        """Handle a fact or an order, and return what follows from it, in order.

        Args:
            event: the input. One that is not legal now is counted and changes nothing.
            now: monotonic seconds.
        """
        match event:
            case CallerEntered() if event.call not in self._course.callers:
                self._enter(event, now)
            case AgentEntered() if event.call not in self._course.agents:
                self._enter_agent(event, now)
            case DequeueCaller():
                self._dequeue(event, now)
            case PrioritizeCaller():
                self._prioritize(event)
            case ResizeQueue():
                self._course.max_size = event.max_size
            case CloseQueue():
                self._course.close(now)
            case _:
                self._dispatch(event, now)
        self._course.match(now)
        return self._course.take()

    def next_deadline(self) -> float | None:
        """Return when ``tick`` has something to do (monotonic seconds); None: nothing is due."""
        asks = (at for each in self.waiting for at in (each.ask_at, each.leave_at, each.say_at))
        ends = (agent.until for agent in self._course.agents.values() if agent.stage is Stage.WAITING)
        return min((at for at in (*asks, *ends) if at is not None), default=None)

    def tick(self, now: float) -> list[QueueOutput]:
        """Handle what is due: who has waited long enough, wait documents, positions."""
        for caller in self.waiting:
            if caller.leave_at is not None and now >= caller.leave_at:
                self._course.finish(caller, QueueResult.LEAVE, now)
        for position, caller in enumerate(self.waiting, 1):
            self._course.ask_if_due(caller, now)
            if caller.may_say(position, now):
                self._course.put(SayPosition(call=caller.call, position=position))
        for agent in list(self._course.agents.values()):
            if agent.stage is Stage.WAITING and now >= agent.until:
                self._course.finish_agent(agent, now, "no-answer")
        return self._course.take()

    # --- the machine ---

    def _dispatch(self, event: QueueInput, now: float) -> None:
        member: Caller | Agent | None
        call: CallSid = event.call  # type: ignore[union-attr,assignment]
        if isinstance(event, AgentLeft):
            member, table = self._course.agents.get(call), AGENTS
        else:
            member, table = self._course.callers.get(call), CALLERS
        handler = table.get((member.stage, type(event))) if member else None
        if handler is None:
            self.unexpected.note(f"{member.stage if member else 'absent'} {type(event).__name__}")
        elif handler:
            getattr(self, handler)(member, event, now)

    # --- callers ---

    def _enter(self, event: CallerEntered, now: float) -> None:
        full = len(self.waiting) >= self.max_size
        if full or self._course.closed:
            result = QueueResult.SYSTEM_ERROR if self._course.closed else QueueResult.FULL
            self._course.put(CallerDone(call=event.call, result=result, goes_on=True, queued=False))
            return
        caller = self._course.callers[event.call] = Caller(event, now)
        self._course.tell(caller, "joined", now)
        self._course.match(now)
        if caller.stage is Stage.WAITING:
            self._course.begin_wait(caller, now)

    def _on_wait_fetched(self, caller: Caller, event: WaitFetched, now: float) -> None:
        caller.fetched()

    def _on_wait_ended(self, caller: Caller, event: WaitEnded, now: float) -> None:
        if event.following is not None:
            self._course.ask(caller, now, event.following)
            return
        caller.ask_soon(now)
        self._course.ask_if_due(caller, now)

    def _on_wait_failed(self, caller: Caller, event: WaitFailed, now: float) -> None:
        if caller.failed(now):
            self._course.put(PlayWait(call=caller.call, music=True))
        else:
            self._course.finish(caller, QueueResult.ERROR, now)

    def _on_left_waiting(self, caller: Caller, event: CallerLeft, now: float) -> None:
        self._course.finish(caller, EXITS[Stage.WAITING][event.exit], now)

    def _on_left_offered(self, caller: Caller, event: CallerLeft, now: float) -> None:
        result = EXITS[Stage.OFFERED].get(event.exit)
        if result is None:
            return  # the wait document's last word crossed the offer
        agent = self._course.agent_of(caller)
        self._course.finish(caller, result, now)
        if agent.wanted is not None:
            self._course.finish_agent(agent, now, "failed", number=14214)
        else:
            agent.resume(now)

    def _on_offer_ended(self, caller: Caller, event: OfferEnded, now: float) -> None:
        self._course.bridge(caller, self._course.agent_of(caller), now)

    def _on_left_bridge(self, caller: Caller, event: CallerLeft, now: float) -> None:
        result = EXITS[Stage.BRIDGED].get(event.exit)
        if result is not None:
            self._course.end_bridge(caller, self._course.agent_of(caller), now, result, goes_on=False)

    def _dequeue(self, event: DequeueCaller, now: float) -> None:
        caller = next((each for each in self.waiting if event.call in (None, each.call)), None)
        if caller is None:
            self._course.put(OrderRefused(status=404, code=20404, text="nobody to take out waits"))
        else:
            self._course.finish(caller, QueueResult.REDIRECTED, now)

    def _prioritize(self, event: PrioritizeCaller) -> None:
        caller = self._course.callers.get(event.call)
        if caller is None or caller.stage is not Stage.WAITING:
            self._course.put(OrderRefused(status=404, code=20404, text="the caller does not wait"))
        else:
            caller.priority = event.priority

    # --- agents ---

    def _enter_agent(self, event: AgentEntered, now: float) -> None:
        agent = Agent(event, now)
        if self._course.closed:
            self._course.put(AgentDone(agent=event.call, status="failed"))
            return
        if agent.wanted is None:
            self._course.agents[agent.call] = agent
            self._course.put(PlayRingback(agent=agent.call))
            return
        caller = self._course.callers.get(agent.wanted)
        if caller is None or caller.stage is not Stage.WAITING:
            self._course.put(AgentDone(agent=event.call, status="failed", number=14214))
            return
        self._course.agents[agent.call] = agent
        self._course.put(PlayRingback(agent=agent.call))
        self._course.offer(caller, agent, now)

    def _on_agent_gave_up(self, agent: Agent, event: AgentLeft, now: float) -> None:
        self._course.finish_agent(agent, now, "no-answer")

    def _on_agent_left_offer(self, agent: Agent, event: AgentLeft, now: float) -> None:
        caller = self._course.caller_of(agent)
        self._course.put(StopOffer(call=caller.call))
        self._course.finish_agent(agent, now, "no-answer")
        caller.stage, caller.agent, caller.picked_at = Stage.WAITING, None, None
        self._course.match(now)
        if caller.stage is Stage.WAITING:
            self._course.begin_wait(caller, now)

    def _on_agent_left_bridge(self, agent: Agent, event: AgentLeft, now: float) -> None:
        self._course.end_bridge(self._course.caller_of(agent), agent, now, QueueResult.BRIDGED, goes_on=True)
