"""Derives the options of a node's parts from the configuration."""

from pathlib import Path

from b2bua import __version__
from b2bua.engine.pool import PoolOptions
from b2bua.node.media_net import MediaNet
from b2bua.node.prompt_maker import PromptOptions
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings

__all__ = ["pool_options", "prompt_options"]


def prompt_options(settings: Settings, folder: Path) -> PromptOptions:
    """Return the options for ``PromptMaker``; ``folder`` is the node's private folder."""
    storage = settings.storage
    return PromptOptions(
        cache=storage.cache or folder / "prompts",
        max_bytes=storage.cache_mb * 1_000_000,
        sounds=settings.folder,
        recordings=storage.recordings,
        clock_rate_hz=settings.rtp.clock_rate_hz,
    )


def pool_options(settings: Settings, run: RunFolder, net: MediaNet, generation: int) -> PoolOptions:
    """Return the options for the pool of workers, whose media are the relay's."""
    of_some = [trunk.srtp for trunk in settings.trunks] + [user.srtp for user in settings.users]
    return PoolOptions(
        folder=run.path,
        secret=run.secret,
        idle=settings.workers.idle,
        max=settings.workers.max,
        rtp_bind=net.inner_host,
        rtp_advertise=net.inner_host,
        rtp_ports=net.inner_ports.workers,
        codecs=settings.rtp.codecs,
        tones_folder=run.path / "tones",
        user_agent=f"b2bua/{__version__}",
        srtp=any(srtp not in ("", "off") for srtp in (settings.rtp.srtp, *of_some)),
        orphan_grace_s=settings.node.orphan_grace_s,
        generation=generation,
        clock_rate_hz=settings.rtp.clock_rate_hz,
    )
