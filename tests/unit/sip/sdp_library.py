"""The library's own SDP parser: the judge of what it can read."""

import ctypes

import pjsua2 as pj

__all__ = ["verdict"]

_POOL_BYTES = 4000

_library = ctypes.CDLL(pj._pjsua2.__file__)
_library.pj_log_set_level(0)
assert _library.pj_init() == 0
_library.pj_caching_pool_init.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_library.pj_pool_create.restype = ctypes.c_void_p
_library.pj_pool_create.argtypes = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
)  # fmt: skip
_library.pj_pool_release.argtypes = (ctypes.c_void_p,)
_library.pjmedia_sdp_parse.argtypes = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)
)  # fmt: skip
_library.pjmedia_sdp_validate.argtypes = (ctypes.c_void_p,)
_factory = ctypes.create_string_buffer(_POOL_BYTES)
_library.pj_caching_pool_init(_factory, None, 0)


def verdict(body: bytes) -> str:
    """``ok``, or the step at which the library rejects a description."""
    pool = _library.pj_pool_create(_factory, b"sdp", _POOL_BYTES, _POOL_BYTES, None)
    try:
        session = ctypes.c_void_p()
        text = ctypes.create_string_buffer(body, len(body) + 1)
        status = _library.pjmedia_sdp_parse(pool, text, len(body), ctypes.byref(session))
        if status:
            return f"not parsed: {status}"
        status = _library.pjmedia_sdp_validate(session)
        return f"not valid: {status}" if status else "ok"
    finally:
        _library.pj_pool_release(pool)
