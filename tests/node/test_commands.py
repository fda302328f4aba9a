"""The commands that a newcomer runs first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytestmark = pytest.mark.process


def b2bua(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "b2bua", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_demo_shows_a_call_and_leaves_its_files(tmp_path: Path) -> None:
    done = b2bua("demo", "--out", "left", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("INVITE", "180 Ringing", "CANCEL", "BYE", "good"):
        assert word in done.stdout
    assert "487 Request Terminated" in (tmp_path / "left" / "ladder.txt").read_text()
    heard, rate = soundfile.read(tmp_path / "left" / "heard-by-caller.wav")
    assert rate == 8000
    assert len(heard) > 4 * 8000
    recorded, _ = soundfile.read(tmp_path / "left" / "recording.wav")
    assert recorded.shape[1] == 2
    assert (tmp_path / "left" / "recording.png").read_bytes().startswith(b"\x89PNG")
    assert "left/recording.wav" in done.stdout and "left/recording.png" in done.stdout


def test_the_demo_of_a_conference_shows_its_events_and_leaves_its_picture(tmp_path: Path) -> None:
    done = b2bua("demo", "--conference", "--out", "left", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    story = (tmp_path / "left" / "conference.txt").read_text()
    events = ("participant-join cleo", "conference-start", "participant-leave ben", "conference-end")
    for word in (f"* {event}" for event in events):
        assert word in story
        assert word in done.stdout
    recorded, rate = soundfile.read(tmp_path / "left" / "conference.wav", always_2d=True)
    assert (rate, recorded.shape[1]) == (8000, 1)
    assert len(recorded) > 4 * 8000
    assert (tmp_path / "left" / "conference.png").read_bytes().startswith(b"\x89PNG")


def test_the_doctor_finds_a_healthy_machine_healthy(tmp_path: Path) -> None:
    config = tmp_path / "b.toml"
    config.write_text('[sip]\nlisten = ["udp://127.0.0.1:0"]\n[http]\nlisten = "127.0.0.1:0"\n')
    done = b2bua("doctor", "--config", str(config), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pjsua2" in done.stdout
    assert "the first start makes" in " ".join(done.stdout.split())
    assert not (tmp_path / "b2bua.db").exists()


def test_the_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    import socket

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken,
        socket.create_server(("127.0.0.1", 0)) as web,
    ):
        taken.bind(("127.0.0.1", 0))
        port, web_port = taken.getsockname()[1], web.getsockname()[1]
        config = tmp_path / "b.toml"
        config.write_text(
            f'[sip]\nlisten = ["udp://127.0.0.1:{port}"]\n[storage]\ndatabase = "sqlite:///b.db"\n'
            f'[http]\nlisten = "127.0.0.1:{web_port}"\n[rtp]\nbind = "203.0.113.7"\n'
        )
        (tmp_path / "b.db").write_text("not a database, and long enough to be looked at as one" * 20)
        done = b2bua("doctor", "--config", str(config), cwd=tmp_path)
    assert done.returncode == 1
    assert "not a database" in " ".join(done.stdout.split())
    assert "Address already in use" in done.stdout.replace("\n", " ") or "in use" in done.stdout
    assert f"127.0.0.1:{web_port} Address" in " ".join(done.stdout.split())
    assert "203.0.113.7" in done.stdout and "rtp.advertise" in done.stdout
    assert "set http.listen" in " ".join(done.stdout.replace("│", " ").split())


def test_the_log_of_a_start_has_only_our_own_lines(tmp_path: Path) -> None:
    config = tmp_path / "b.toml"
    config.write_text('[sip]\nlisten = ["udp://127.0.0.1:0"]\n[http]\nlisten = "127.0.0.1:0"\n')
    with subprocess.Popen(
        [sys.executable, "-m", "b2bua", "serve", "--config", str(config), "--log-format", "json"],
        cwd=tmp_path,
        # In debug mode asyncio logs each step of the start that takes 0.1 s, such as an import.
        env={**os.environ, "PYTHONASYNCIODEBUG": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdout is not None and node.stderr is not None
        assert node.stdout.readline().startswith("ready ")
        node.terminate()
        lines = [json.loads(line) for line in node.stderr]
    assert node.returncode == 0
    assert [line["to_revision"] for line in lines if line["event"] == "database upgraded"]
    assert {line["logger"].partition(".")[0] for line in lines} == {"b2bua"}


def test_serve_says_which_address_it_cannot_have(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = tmp_path / "b.toml"
        config.write_text(f'[sip]\nlisten = ["udp://127.0.0.1:{port}"]\n[http]\nlisten = "127.0.0.1:0"\n')
        done = b2bua("serve", "--config", str(config), cwd=tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr
