"""A queue driven by hand, with a witness that objects to what no queue may do."""

from typing import Any, TypeVar

from b2bua.core.ids import CallSid
from b2bua.core.queue import Queue
from b2bua.core.queue_inputs import (
    AgentEntered,
    AgentLeft,
    CallerEntered,
    CallerExit,
    CallerLeft,
    OfferEnded,
    QueueInput,
)
from b2bua.core.queue_outputs import (
    AgentDone,
    AskWait,
    BridgeCalls,
    CallerDone,
    EndBridge,
    PlayRingback,
    PlayWait,
    QueueOutput,
    StartOffer,
    StopOffer,
    StopWait,
)
from b2bua.core.room_inputs import Document

C1, C2, C3 = CallSid("CA-1"), CallSid("CA-2"), CallSid("CA-3")
X, Y = CallSid("CA-x"), CallSid("CA-y")
MUSIC = Document()
WAIT = Document("https://app.example/wait")
OFFER = Document("https://app.example/about")

T = TypeVar("T")


class Witness:
    """Follows a queue's outputs, and fails on what must not be."""

    def __init__(self) -> None:
        self.callers: dict[CallSid, str] = {}
        self.agents: dict[CallSid, str] = {}
        self.pairs: dict[CallSid, CallSid] = {}
        self.asked: dict[CallSid, float] = {}

    def saw(self, output: list[QueueOutput], now: float) -> None:
        for each in output:
            match each:
                case AskWait():
                    assert self.callers[each.call] == "waiting"
                    assert each.following or now >= self.asked.get(each.call, -9.0) + 1.0
                    assert 1 <= each.position <= each.size
                    self.asked[each.call] = now
                case PlayWait():
                    assert self.callers[each.call] == "waiting"
                case StopWait():
                    assert self.callers[each.call] == "waiting"
                    self.callers[each.call] = "picked"
                case PlayRingback():
                    assert self.agents[each.agent] == "waiting"
                case StartOffer():
                    assert (self.callers[each.call], self.agents[each.agent]) == ("picked", "waiting")
                    self.callers[each.call] = "offered"
                case StopOffer():
                    assert self.callers[each.call] == "offered"
                    self.callers[each.call] = "waiting"
                case BridgeCalls():
                    assert self.callers[each.call] in ("picked", "offered")
                    assert self.agents[each.agent] == "waiting"
                    self.callers[each.call] = self.agents[each.agent] = "bridged"
                    assert each.call not in self.pairs
                    assert each.agent not in self.pairs.values()
                    self.pairs[each.call] = each.agent
                case EndBridge():
                    assert self.pairs.pop(each.call) == each.agent
                case CallerDone():
                    assert self.callers.pop(each.call), "told twice"
                    assert each.call not in self.pairs
                    self.asked.pop(each.call, None)
                case AgentDone():
                    assert self.agents.pop(each.agent), "told twice"
                    assert each.agent not in self.pairs.values()


class Scene:
    """One queue; every step returns what the queue has put out in it."""

    def __init__(self, max_size: int = 1000) -> None:
        self.queue = Queue(max_size)
        self.now = 100.0
        self.witness = Witness()

    def send(self, event: QueueInput, at: float | None = None) -> list[QueueOutput]:
        self.now = self.now + 1.0 if at is None else at
        if isinstance(event, CallerEntered):
            self.witness.callers.setdefault(event.call, "waiting")
        elif isinstance(event, AgentEntered):
            self.witness.agents.setdefault(event.call, "waiting")
        output = self.queue.handle(event, self.now)
        self.witness.saw(output, self.now)
        self.agrees()
        return output

    def tick(self, at: float) -> list[QueueOutput]:
        self.now = at
        output = self.queue.tick(at)
        self.witness.saw(output, at)
        self.agrees()
        return output

    def agrees(self) -> None:
        """Nobody is lost: the queue holds exactly those who have no result yet."""
        course = self.queue._course
        assert course.callers.keys() == self.witness.callers.keys()
        assert course.agents.keys() == self.witness.agents.keys()
        waiting = {caller.call for caller in self.queue.waiting}
        assert waiting == {call for call, stage in self.witness.callers.items() if stage == "waiting"}

    def caller(self, call: CallSid, wait: Document = MUSIC, at: float | None = None) -> list[QueueOutput]:
        return self.send(CallerEntered(call=call, wait=wait), at)

    def agent(self, call: CallSid, at: float | None = None, **options: Any) -> list[QueueOutput]:
        return self.send(AgentEntered(call=call, **({"timeout_s": 30.0} | options)), at)

    def caller_leaves(self, call: CallSid, way: CallerExit = CallerExit.HUNG_UP) -> list[QueueOutput]:
        return self.send(CallerLeft(call=call, exit=way))

    def agent_leaves(self, call: CallSid) -> list[QueueOutput]:
        return self.send(AgentLeft(call=call))

    def offer_ends(self, call: CallSid) -> list[QueueOutput]:
        return self.send(OfferEnded(call=call))


def find(output: list[QueueOutput], kind: type[T]) -> list[T]:
    return [each for each in output if isinstance(each, kind)]
