"""Divides the RTP port range into blocks, one for each worker. No I/O."""

__all__ = ["PortBlocks"]

_LARGEST = 64
_SMALLEST = 16
"""Four legs of two ports, and as many again while the old sockets are still closing."""


class PortBlocks:
    """Allocates the blocks. A block freed last is used last, so that its late packets have ceased by then.

    Args:
        ports: first and last of the range; the first is rounded up to even (RFC 3550 §11).
        workers: number of blocks wanted.
    """

    def __init__(self, ports: tuple[int, int], workers: int) -> None:
        self._first = ports[0] + ports[0] % 2
        total = ports[1] - self._first + 1
        self._size = max(_SMALLEST, min(_LARGEST, total // workers // 2 * 2))
        self.count = min(workers, total // self._size)
        """Number of blocks; fewer than wanted if the range is small."""
        self._free = list(range(self.count))

    @property
    def free(self) -> int:
        """Number of blocks not in use."""
        return len(self._free)

    def take(self) -> int | None:
        """Return the number of a free block, now in use, or None if all are in use."""
        return self._free.pop(0) if self._free else None

    def claim(self, port: int) -> int | None:
        """Take the block that begins with this port; None: there is none, or it is in use."""
        block, rest = divmod(port - self._first, self._size)
        if rest or block not in self._free:
            return None
        self._free.remove(block)
        return block

    def give_back(self, block: int) -> None:
        """Free a block whose worker is gone."""
        assert block not in self._free
        self._free.append(block)

    def ports(self, block: int) -> tuple[int, int]:
        """Return (first port, size) of a block."""
        return self._first + block * self._size, self._size
