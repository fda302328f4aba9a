"""When the library's next timer is due, so that a worker without media can sleep until then.

pjsua2 has no method for this; the C functions are documented ones of pjlib and pjsip.

Thread: the SIP thread.
"""

import ctypes

import pjsua2 as pj

__all__ = ["Timers"]


class _Time(ctypes.Structure):
    """``pj_time_val``."""

    _fields_ = (("sec", ctypes.c_long), ("msec", ctypes.c_long))

    @property
    def seconds(self) -> float:
        return float(self.sec) + float(self.msec) / 1000


class Timers:
    """The timers of the library's SIP stack; to be made once the library is initialised."""

    def __init__(self) -> None:
        library = ctypes.CDLL(pj._pjsua2.__file__)
        library.pjsua_get_pjsip_endpt.restype = ctypes.c_void_p
        library.pjsip_endpt_get_timer_heap.restype = ctypes.c_void_p
        library.pjsip_endpt_get_timer_heap.argtypes = (ctypes.c_void_p,)
        self._earliest = library.pj_timer_heap_earliest_time
        self._earliest.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Time))
        self._ticks = library.pj_gettickcount
        self._ticks.argtypes = (ctypes.POINTER(_Time),)
        self._heap = library.pjsip_endpt_get_timer_heap(library.pjsua_get_pjsip_endpt())

    def pause_s(self, most: float) -> float:
        """Return the seconds until the next timer is due: 0 if it is overdue, at most ``most``."""
        due, now = _Time(), _Time()
        if self._earliest(self._heap, ctypes.byref(due)) != 0:  # there is none
            return most
        self._ticks(ctypes.byref(now))
        return min(most, max(0.0, due.seconds - now.seconds))
