"""Which ports of its own address a node uses."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b2bua.core.errors import ConfigError
from b2bua.engine.port_blocks import PortBlocks
from b2bua.node.media_net import MediaNet, divide_ports
from b2bua.run_folder import RunFolder
from b2bua.settings import Settings

pytestmark = pytest.mark.unit

LINUX = (32768, 60999)

ports = st.tuples(st.integers(1024, 65535), st.integers(1024, 65535)).map(lambda p: (min(p), max(p)))


def test_the_largest_gap_is_divided() -> None:
    divided = divide_ports((10000, 19999), LINUX, 100)
    assert divided.workers == (20000, 26399)
    assert divided.relay == (26400, 29591)


def test_many_workers_leave_a_quarter_to_the_relay() -> None:
    divided = divide_ports((10000, 19999), LINUX, 10_000)
    assert divided.workers[1] - divided.workers[0] + 1 == 3 * 12768 // 4
    assert divided.relay[1] - divided.relay[0] + 1 == 12768 // 4


def test_the_relay_needs_no_more_ports_than_it_has_pairs() -> None:
    relay = divide_ports((10000, 10399), LINUX, 16).relay
    assert relay[1] - relay[0] + 1 == 200


def test_nothing_is_left() -> None:
    with pytest.raises(ConfigError):
        divide_ports((1024, 32767), (32768, 65530), 4)


@settings(database=None)
@given(ports, ports, st.integers(1, 10_000))
def test_no_port_has_two_uses(rtp: tuple[int, int], ephemeral: tuple[int, int], workers: int) -> None:
    try:
        divided = divide_ports(rtp, ephemeral, workers)
    except ConfigError:
        return
    ranges = sorted([divided.workers, divided.relay])
    assert 1024 <= ranges[0][0] and ranges[-1][1] <= 65535
    assert ranges[0][1] < ranges[1][0]
    for first, last in (divided.workers, divided.relay):
        for taken in (rtp, ephemeral):
            assert last < taken[0] or first > taken[1]
    assert divided.relay[0] <= divided.relay[1] or rtp[1] == rtp[0]
    assert PortBlocks(divided.workers, workers).count >= 1


async def test_nodes_have_addresses_of_their_own(tmp_path: Path) -> None:
    runs = [RunFolder.make(tmp_path / str(n)) for n in range(50)]
    nets = [await MediaNet.chosen(Settings(), run) for run in runs]
    hosts = {net.inner_host for net in nets}
    assert len(hosts) > 40
    assert all(ipaddress.ip_address(host).is_loopback and host.endswith(".1") for host in hosts)


async def test_a_name_is_looked_up_for_session_descriptions(tmp_path: Path) -> None:
    named = Settings.model_validate({"rtp": {"advertise": "localhost"}})
    assert (await MediaNet.chosen(named, RunFolder.make(tmp_path))).host == "127.0.0.1"
    nowhere = Settings.model_validate({"rtp": {"advertise": "nowhere.invalid"}})
    with pytest.raises(ConfigError, match=r"nowhere\.invalid"):
        await MediaNet.chosen(nowhere, RunFolder.make(tmp_path))


async def test_media_are_received_on_an_address_of_this_machine(tmp_path: Path) -> None:
    elsewhere = Settings.model_validate({"rtp": {"bind": "203.0.113.7", "advertise": "127.0.0.1"}})
    with pytest.raises(ConfigError, match=r"rtp\.bind: 203\.0\.113\.7 is no address of this machine"):
        await MediaNet.chosen(elsewhere, RunFolder.make(tmp_path))
