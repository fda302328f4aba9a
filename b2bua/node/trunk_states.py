"""The states of the trunks, as last reported by the edge. Thread: the controller's loop."""

from collections.abc import Iterable

from b2bua.sip.edge_control import TrunkState

__all__ = ["TrunkStates"]


class TrunkStates:
    """The last known state of each trunk."""

    def __init__(self) -> None:
        self._states: dict[str, TrunkState] = {}

    def changed(self, state: TrunkState) -> None:
        """Note the new state of a trunk."""
        self._states[state.trunk] = state

    def of(self, names: Iterable[str]) -> list[TrunkState]:
        """Return the states of those of the named trunks that have one."""
        return [self._states[name] for name in names if name in self._states]

    def is_down(self, name: str) -> bool:
        """Return whether the trunk is down, so that calls to it would fail."""
        state = self._states.get(name)
        return state is not None and state.down
