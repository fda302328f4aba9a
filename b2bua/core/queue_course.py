"""The state of a queue (see ``queue``): its callers and agents, and the steps that concern both.

Callers and agents leave here, whatever the reason, so that each is told exactly once.
"""

from collections import deque
from typing import Final, Literal

from b2bua.core.ids import CallSid
from b2bua.core.queue_inputs import Following, QueueEventName
from b2bua.core.queue_members import Agent, Caller
from b2bua.core.queue_outputs import (
    AgentDone,
    AskWait,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayWait,
    QueueEvent,
    QueueOutput,
    QueueResult,
    StartOffer,
    StopWait,
)
from b2bua.core.queue_table import Stage

__all__ = ["QueueCourse"]

_ESTIMATED_BY: Final = 20
"""By how many bridged callers the wait is estimated."""

_IGNORED = (
    QueueResult.BRIDGING,
    QueueResult.HANGUP,
    QueueResult.REDIRECTED,
    QueueResult.REDIRECTED_FROM_BRIDGE,
)
"""Results after which the action's document is ignored."""


class QueueCourse:
    """The shared state of a queue.

    Args:
        max_size: places, 1..5000.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.callers: dict[CallSid, Caller] = {}
        """In the order of entering, those offered and bridged included."""
        self.agents: dict[CallSid, Agent] = {}
        """In the order of entering."""
        self.closed = False
        """Nobody can enter any more."""
        self._bridged_waits_s: deque[float] = deque(maxlen=_ESTIMATED_BY)
        self._output: list[QueueOutput] = []

    @property
    def waiting(self) -> list[Caller]:
        """The callers that wait, the first one first: by priority, then in the order of entering."""
        waiting = [caller for caller in self.callers.values() if caller.stage is Stage.WAITING]
        waiting.sort(key=lambda caller: -caller.priority)
        return waiting

    @property
    def estimated_s(self) -> int | None:
        """The mean wait of the last callers that were bridged; None: there was none yet."""
        waits = self._bridged_waits_s
        return int(sum(waits) / len(waits)) if waits else None

    def average_wait_s(self, now: float) -> int:
        """Return the mean wait of those who wait now; 0: nobody does."""
        waits = [caller.waited_s(now) for caller in self.waiting]
        return int(sum(waits) / len(waits)) if waits else 0

    def put(self, output: QueueOutput) -> None:
        """Add an output."""
        self._output.append(output)

    def take(self) -> list[QueueOutput]:
        """Return the outputs since the last call."""
        output, self._output = self._output, []
        return output

    def tell(
        self,
        caller: Caller,
        name: QueueEventName,
        now: float,
        result: QueueResult | None = None,
        bridge_s: int = 0,
    ) -> None:
        """Tell the application of a caller, if it wants to know."""
        if name not in caller.events:
            return
        waiting = self.waiting
        self.put(
            QueueEvent(
                call=caller.call,
                name=name,
                position=waiting.index(caller) + 1 if caller in waiting else caller.position,
                size=len(waiting),
                waited_s=int(caller.waited_s(now)),
                agent=caller.agent,
                result=result,
                bridge_s=bridge_s,
            )
        )

    def begin_wait(self, caller: Caller, now: float) -> None:
        """Let a caller hear its document, our music, or silence."""
        if caller.wait.url:
            caller.ask_soon(now)
            self.ask_if_due(caller, now)
        else:
            self.put(PlayWait(call=caller.call, music=caller.wait.url is None))

    def ask_if_due(self, caller: Caller, now: float) -> None:
        """Request a caller's document if it is time."""
        if caller.ask_at is not None and now >= caller.ask_at:
            self.ask(caller, now)

    def ask(self, caller: Caller, now: float, following: Following | None = None) -> None:
        """Request a caller's document, or the one that follows it."""
        caller.asked(now)
        waiting = self.waiting
        self.put(
            AskWait(
                call=caller.call,
                document=caller.wait,
                following=following,
                position=waiting.index(caller) + 1,
                waited_s=int(caller.waited_s(now)),
                average_s=self.average_wait_s(now),
                estimated_s=self.estimated_s,
                size=len(waiting),
                max_size=self.max_size,
            )
        )

    def match(self, now: float) -> None:
        """Give the first callers to the agents that have waited longest."""
        agents = [agent for agent in self.agents.values() if agent.stage is Stage.WAITING]
        for caller, agent in zip(self.waiting, agents, strict=False):
            self.offer(caller, agent, now)

    def offer(self, caller: Caller, agent: Agent, now: float) -> None:
        """Take a caller out for an agent."""
        waiting = self.waiting
        caller.position = waiting.index(caller) + 1
        caller.picked_at, caller.ask_at = now, None
        caller.stage = agent.stage = Stage.OFFERED
        caller.agent, agent.caller = agent.call, caller.call
        agent.pause(now)
        self.put(StopWait(call=caller.call))
        self.tell(caller, "offered", now)
        if agent.offer is None:
            self.bridge(caller, agent, now)
            return
        waited = int(caller.waited_s(now))
        self.put(StartOffer(call=caller.call, agent=agent.call, document=agent.offer, waited_s=waited))

    def bridge(self, caller: Caller, agent: Agent, now: float) -> None:
        """Bridge a caller with the agent that it was taken out for."""
        caller.stage = agent.stage = Stage.BRIDGED
        caller.bridged_at = now
        self._bridged_waits_s.append(caller.waited_s(now))
        self.put(BridgeCalls(call=caller.call, agent=agent.call))
        self.tell(caller, "bridged", now)

    def end_bridge(
        self, caller: Caller, agent: Agent, now: float, result: QueueResult, *, goes_on: bool
    ) -> None:
        """Part a pair, and tell both their results."""
        self.put(EndBridge(call=caller.call, agent=agent.call))
        self.finish_agent(agent, now, "completed")
        self.finish(caller, result, now, goes_on=goes_on)

    def agent_of(self, caller: Caller) -> Agent:
        """Return the agent that a caller was taken out for."""
        assert caller.agent is not None
        return self.agents[caller.agent]

    def caller_of(self, agent: Agent) -> Caller:
        """Return the caller that was taken out for an agent."""
        assert agent.caller is not None
        return self.callers[agent.caller]

    def finish(self, caller: Caller, result: QueueResult, now: float, *, goes_on: bool | None = None) -> None:
        """Tell a caller its result.

        ``goes_on``: whether the action's document is run; None: the result determines it.
        """
        if caller.stage is Stage.WAITING:
            caller.position = self.waiting.index(caller) + 1
        del self.callers[caller.call]
        bridge_s = 0 if caller.bridged_at is None else int(now - caller.bridged_at)
        self.tell(caller, "left", now, result, bridge_s)
        self.put(
            CallerDone(
                call=caller.call,
                result=result,
                goes_on=result not in _IGNORED if goes_on is None else goes_on,
                waited_s=int(caller.waited_s(now)),
                position=caller.position,
                agent=caller.agent,
                bridge_s=bridge_s,
            )
        )

    def finish_agent(
        self,
        agent: Agent,
        now: float,
        status: Literal["completed", "no-answer", "failed"],
        *,
        number: int = 0,
    ) -> None:
        """Tell an agent its result; ``number``: of the error, if there is one."""
        del self.agents[agent.call]
        caller = self.callers.get(agent.caller) if agent.caller and status == "completed" else None
        self.put(
            AgentDone(
                agent=agent.call,
                status=status,
                number=number,
                caller=caller.call if caller else None,
                waited_s=int(caller.waited_s(now)) if caller else 0,
                bridge_s=int(now - caller.bridged_at) if caller and caller.bridged_at is not None else 0,
            )
        )

    def close(self, now: float) -> None:
        """Let nobody enter any more, and finish all who are not bridged."""
        self.closed = True
        for caller in list(self.callers.values()):
            if caller.stage is not Stage.BRIDGED:
                self.finish(caller, QueueResult.SYSTEM_ERROR, now)
        for agent in list(self.agents.values()):
            if agent.stage is not Stage.BRIDGED:
                self.finish_agent(agent, now, "failed")
