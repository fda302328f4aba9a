"""How the trunks are, as the edge has told last. Thread: the controller's loop."""

from collections.abc import Iterable

from b2bua.sip.edge_control import TrunkState

__all__ = ["TrunkStates"]


class TrunkStates:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._states: dict[str, TrunkState] = {}

    def changed(self, state: TrunkState) -> None:
        """A trunk is like this now."""
        self._states[state.trunk] = state

    def of(self, names: Iterable[str]) -> list[TrunkState]:
        """Of those of these trunks that something is known of."""
        return [self._states[name] for name in names if name in self._states]

    def is_down(self, name: str) -> bool:
        """Whether calls to this trunk have no chance."""
        state = self._states.get(name)
        return state is not None and state.down
