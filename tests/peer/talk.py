"""Two calls that are bridged: both send a tone, and each hears the other's."""

from .call import Call

__all__ = ["hear_each_other"]


async def hear_each_other(one: Call, other: Call) -> None:
    """440 Hz in one direction, 660 Hz in the other."""
    one.media.play_tone(440)
    other.media.play_tone(660)
    await one.media.expect_tone(660)
    await other.media.expect_tone(440)
