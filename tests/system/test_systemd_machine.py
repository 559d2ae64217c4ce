"""As installed: the unit on a booted Debian 12 is ready, confined, watched, reloaded, cut off, and tells no secret.

One machine serves all tests of this file, in their order; each leaves the service running.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

from tests.system.agreement import assert_agreement, come_to_rest
from tests.system.installed import (
    CHECKOUT,
    CONFIGURATION,
    PACKAGES,
    PASSPHRASE,
    STATE,
    UNIT,
    Installed,
    installed,
    leaks,
)
from tests.system.machine import missing_program

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run it with sudo, or as root"),
    pytest.mark.skipif(missing_program() is not None, reason=str(missing_program())),
]

SWITCHED_ON = {
    "NoNewPrivileges": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "PrivateMounts": "yes",
    "PrivateIPC": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProcSubset": "pid",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RemoveIPC": "yes",
    "KeyringMode": "private",
    "SystemCallArchitectures": "native",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "DevicePolicy": "closed",
    "LimitCORE": "0",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "MemoryMax": str(256 * 1024 * 1024),
    "TasksMax": "64",
    "Type": "notify",
    "NotifyAccess": "main",
    "WatchdogUSec": "30s",
    "Restart": "always",
}

# Tried inside the unit, by the service's user, with nothing in the way but the unit: each should be refused.
INSIDE = """
import ctypes, json, mmap, os, pathlib, resource, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def tried(act):
    try:
        result = act()
    except OSError as error:
        return error.strerror
    return "done" if not isinstance(result, int) or result >= 0 else os.strerror(ctypes.get_errno())
def written(path):
    return lambda: pathlib.Path(path).write_text("x")
print("INSIDE " + json.dumps({
    "memory": tried(lambda: open("/dev/mem", "rb")),
    "foreign device": tried(lambda: open("/dev/fuse", "rb")),
    "serial device": tried(lambda: os.close(os.open("/dev/ttyUSB0", os.O_RDWR | os.O_NOCTTY))),
    "write /usr": tried(written("/usr/x")),
    "write /etc": tried(written("/etc/prosumer-agent/x")),
    "look into /root": tried(lambda: os.listdir("/root")),
    "read the passphrase": tried(lambda: open("/etc/prosumer-agent/keystore-passphrase")),
    "set the clock": tried(lambda: libc.clock_settime(0, ctypes.create_string_buffer(16))),
    "new namespace": tried(lambda: libc.unshare(0x10000000)),
    "packet socket": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "writable code": tried(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "first process": tried(lambda: os.stat("/proc/1/status")),
    "who knows the time": subprocess.getoutput("timedatectl show --property=NTPSynchronized --value"),
    "core size": resource.getrlimit(resource.RLIMIT_CORE)[1],
}))
"""

# A meter that never answers again, without a debugger: its read blocks in the process whose number the file holds.
HANGING = """
import os, pathlib, sys, threading, time
def wait():
    while not hasattr(sys.modules.get("agent.adapters.meters"), "DriverMeter"):
        time.sleep(0.05)
    kind = sys.modules["agent.adapters.meters"].DriverMeter
    read, once = kind.read, threading.Lock()
    def blocked(self):
        try:
            asked = pathlib.Path("/etc/prosumer-agent/hang").read_text() == str(os.getpid())
        except OSError:
            asked = False
        if asked and once.acquire(blocking=False):
            threading.Event().wait()
        return read(self)
    kind.read = blocked
threading.Thread(target=wait, daemon=True).start()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    began = time.monotonic()
    with installed(tmp_path_factory.mktemp("installed")) as made:
        print(f"made, booted, installed and ready after {time.monotonic() - began:.0f} s")
        yield made


def test_the_unit_is_ready_and_every_switch_is_on(house: Installed) -> None:
    shown = house.show()
    assert (shown["ActiveState"], shown["SubState"], shown["NRestarts"]) == ("active", "running", "0")
    assert "household 0x" in shown["StatusText"]
    assert {name: shown[name] for name in SWITCHED_ON} == SWITCHED_ON
    assert shown["User"] == "prosumer-agent"
    assert "adjtimex" not in shown["SystemCallFilter"]
    assert house.machine.run("systemd-analyze", "verify", UNIT) == ""
    score = house.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", UNIT)
    print(score.splitlines()[-1])


def test_readings_become_final_over_both_wires(house: Installed) -> None:
    house.wait_for_final(2)
    read = json.loads(house.rig.agent("readings", "--json"))["readings"]
    assert any(reading["state"] == "final" and reading["flags"] == 0 for reading in read)


def test_what_the_unit_refuses_from_inside(house: Installed) -> None:
    machine = house.machine
    for path, major, minor in (("/dev/mem", 1, 1), ("/dev/fuse", 10, 229)):
        machine.add_device(path, major, minor)
    machine.write("/opt/inside.py", INSIDE)
    # The same user without the unit may open the device: it is the unit that refuses.
    machine.run("runuser", "-u", "prosumer-agent", "--", "python3", "-c", "open('/dev/fuse', 'rb')")
    with house.drop_in("inside", "[Service]\nExecStartPre=/usr/bin/python3 /opt/inside.py\n"):
        told = [line for line in house.log().splitlines() if line.startswith("INSIDE ")]
    found = json.loads(told[-1].removeprefix("INSIDE "))
    print(found)
    allowed = {"serial device": "done", "core size": 0}
    assert {name: found.pop(name) for name in allowed} == allowed
    assert found.pop("who knows the time") in {"yes", "no"}
    assert "done" not in found.values()
    assert found["foreign device"] == "Operation not permitted"


def test_the_process_and_its_files_are_closed_to_others(house: Installed) -> None:
    machine, pid = house.machine, house.main_pid()
    # Files of a process that may be dumped belong to its user; PR_GET_DUMPABLE = 0 gives them to root.
    assert machine.run("stat", "--format=%U", f"/proc/{pid}/environ").strip() == "root"
    machine.run("runuser", "-u", "prosumer-agent", "--", "cat", f"/proc/{pid}/environ", expected=1)
    assert machine.run("find", STATE, "-perm", "/077") == ""
    assert machine.run("stat", "--format=%a %U", STATE).split() == ["700", "prosumer-agent"]
    assert machine.run("stat", "--format=%a %U", PASSPHRASE).split() == ["600", "root"]


def test_a_reload_takes_the_new_configuration_and_refuses_a_broken_one(house: Installed) -> None:
    machine, pid, good = house.machine, house.main_pid(), house.configuration()
    machine.write(CONFIGURATION, good.replace("unit = 1", "unit = 999"))
    machine.run("systemctl", "reload", UNIT)
    house.wait_for(lambda: '"configuration.refused"' in house.log(), "a refusal", within_s=20)
    assert "meters.production.unit" in house.log()
    assert house.main_pid() == pid
    house.wait_for_final(1)

    machine.write(CONFIGURATION, good + '[log]\nformat = "console"\n')
    machine.run("systemctl", "reload", UNIT)
    house.wait_for(lambda: not house.log().splitlines()[-1].startswith("{"), "a log for a person", within_s=40)
    machine.write(CONFIGURATION, good)
    time.sleep(3)
    machine.run("systemctl", "reload", UNIT)
    house.wait_for(lambda: house.log().splitlines()[-1].startswith("{"), "a log for a program", within_s=40)
    house.wait_for_final(1)
    shown = house.show("ActiveState", "SubState", "MainPID", "NRestarts", "WatchdogUSec")
    assert (shown["ActiveState"], shown["SubState"], shown["NRestarts"]) == ("active", "running", "0")
    assert (shown["MainPID"], shown["WatchdogUSec"]) == (str(pid), "30s")


def test_the_watchdog_kills_a_process_that_stands_still(house: Installed) -> None:
    _killed_by_the_watchdog(house, lambda pid: house.machine.run("sh", "-c", f"kill -STOP {pid}"), within_s=45)


def test_the_watchdog_kills_a_loop_that_hangs_while_the_others_go_on(house: Installed) -> None:
    house.machine.write("/opt/hanging/sitecustomize.py", HANGING)
    with house.drop_in("hanging", "[Service]\nEnvironment=PYTHONPATH=/opt/hanging\n"):
        log = _killed_by_the_watchdog(
            house, lambda pid: house.machine.write("/etc/prosumer-agent/hang", str(pid)), within_s=90
        )
        stalled = [json.loads(line) for line in log.splitlines() if '"loop.stalled"' in line]
        assert len(stalled) == 1
        assert len(stalled[0]["loops"]) == 1
        assert stalled[0]["loops"][0].startswith("poll.")
        # Where the threads stood, for whoever has to find the cause.
        assert "in blocked" in log


def _killed_by_the_watchdog(house: Installed, hang: object, *, within_s: float) -> str:
    house.wait_for_final(1)
    pid, restarts, before = house.main_pid(), int(house.show("NRestarts")["NRestarts"]), len(house.log())
    began = time.monotonic()
    assert callable(hang)
    hang(pid)
    house.wait_for(
        lambda: int(house.show("NRestarts")["NRestarts"]) == restarts + 1 and house.main_pid() not in {0, pid},
        "a restart",
        within_s=within_s + 20,
    )
    print(f"killed and started again {time.monotonic() - began:.0f} s after it hung")
    house.wait_for(lambda: house.show("ActiveState")["ActiveState"] == "active", "ready again", within_s=60)
    log = house.log()[before:]
    assert "Watchdog timeout" in log
    assert "code=killed, status=6/ABRT" in log  # and not code=dumped
    house.wait_for_final(1)
    return log


def test_after_a_power_cut_it_goes_on_by_itself(house: Installed) -> None:
    before = _interval_ends(house)
    house.machine.cut_power()
    house.machine.boot()
    house.wait_for(lambda: house.show("ActiveState")["ActiveState"] == "active", "ready again", within_s=60)
    # The first to become final may be one that was under way; what counts is that new intervals follow.
    house.wait_for(lambda: before < _interval_ends(house), "an interval after the cut", within_s=60)
    house.wait_for_final(1)


def test_a_second_installation_keeps_configuration_and_state(house: Installed) -> None:
    machine, before = house.machine, house.main_pid()
    said = machine.run("sh", f"{CHECKOUT}/systemd/install", "--packages", PACKAGES)
    assert "restarting the service" in said
    assert house.main_pid() != before
    assert (machine.root / CONFIGURATION.lstrip("/")).read_text(encoding="utf-8") == house.configuration()
    assert "[household]" in machine.run("cat", f"{CONFIGURATION}.new")
    assert len(machine.run("ls", "/opt/prosumer-agent/releases").split()) == 2
    # A run that fails changes nothing.
    current = machine.run("readlink", "/opt/prosumer-agent/current")
    machine.run("mkdir", "/root/empty")
    machine.run("sh", f"{CHECKOUT}/systemd/install", "--packages", "/root/empty", expected=1)
    assert machine.run("readlink", "/opt/prosumer-agent/current") == current
    assert len(machine.run("ls", "/opt/prosumer-agent/releases").split()) == 2
    house.wait_for_final(1)


def test_an_encrypted_credential_opens_the_keystore_too(house: Installed) -> None:
    machine = house.machine
    machine.run("systemd-creds", "encrypt", "--name=keystore-passphrase", PASSPHRASE, f"{PASSPHRASE}.cred")
    machine.run("mv", PASSPHRASE, f"{PASSPHRASE}.away")
    credential = f"keystore-passphrase:{PASSPHRASE}.cred"
    with house.drop_in("encrypted", f"[Service]\nLoadCredential=\nLoadCredentialEncrypted={credential}\n"):
        house.wait_for_final(1)
        machine.run("mv", f"{PASSPHRASE}.away", PASSPHRASE)


def test_the_key_shows_itself_nowhere(house: Installed) -> None:
    house.wait_for_final(1)
    machine, pid = house.machine, house.main_pid()
    places = {
        "the system's journal": machine.run("journalctl", "--no-pager", "--all", "-o", "export").encode(),
        "arguments": machine.run("sh", "-c", "cat /proc/[0-9]*/cmdline", expected=None).encode(),
        "environment": machine.run("cat", f"/proc/{pid}/environ").encode(),
        "properties": machine.run("systemctl", "show", UNIT).encode(),
    }
    for name in ("status", "status --json", "readings", "readings --json", "keys show", "check", "check --json"):
        # `check` ends with 1 where it finds something; what it says is what counts here.
        places[name] = machine.run("prosumer-agent", *name.split(), expected=None).encode()
    for file in sorted((machine.root / STATE.lstrip("/")).rglob("*")):
        if file.is_file():
            places[file.name] = file.read_bytes()
    for topic, payload in house.tape.messages:
        places[topic] = places.get(topic, b"") + payload
    assert {"journal.sqlite", "journal.sqlite-wal", "keystore.json"} <= places.keys()
    assert b"interval.closed" in places["the system's journal"]
    assert b"CREDENTIALS_DIRECTORY" in places["environment"]
    assert leaks(house.key, places) == []
    assert leaks(house.passphrase.encode(), places) == []
    # The search finds what is there: the passphrase in the service's copy, the key in what signs with it.
    credential = machine.run("cat", f"/run/credentials/{UNIT}/keystore-passphrase").encode()
    assert leaks(house.passphrase.encode(), {"copy": credential}) == ["copy: raw"]
    assert len(leaks(house.key, {"planted": f"key=0x{house.key.hex()}".encode()})) == 1


def test_everything_agrees_in_the_end_and_a_clean_stop_is_said(house: Installed) -> None:
    readings = come_to_rest(house.rig, house.collector, within_s=90)
    # Each was accepted: no restart made the agent sign what the contract refuses.
    assert [reading for reading in readings if reading["state"] != "final"] == []
    house.machine.run("systemctl", "stop", UNIT)
    assert house.show("Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    house.wait_for(lambda: house.tape.statuses()[-1]["online"] is False, "a status", within_s=10)
    assert house.tape.statuses()[-1]["reason"] == "SIGTERM"
    assert_agreement(house.rig, house.collector, readings)
    ends = [reading["intervalEnd"] for reading in readings]
    assert len(set(ends)) == len(ends)
    assert len({mined.taken_at for mined in house.rig.ledger.readings(house.rig.household)}) >= len(ends)
    assert (
        house.machine.run("find", "/var/lib/systemd/coredump", STATE, "-name", "*core*", expected=None).count("\n") <= 1
    )
    print(f"{len(readings)} intervals, each once in journal, chain and telemetry")


def test_taking_it_away_keeps_key_and_journal(house: Installed) -> None:
    machine = house.machine
    machine.run("sh", f"{CHECKOUT}/systemd/install", "--uninstall")
    assert "prosumer" not in machine.run("systemctl", "list-unit-files", "--no-pager")
    for gone in ("/opt/prosumer-agent", "/usr/local/bin/prosumer-agent"):
        assert not (machine.root / gone.lstrip("/")).exists()
    for kept in (f"{STATE}/journal.sqlite", f"{STATE}/keystore.json", CONFIGURATION, PASSPHRASE):
        assert (machine.root / kept.lstrip("/")).exists()


def _interval_ends(house: Installed) -> set[int]:
    told = json.loads(house.rig.agent("readings", "--limit", "100000", "--json"))["readings"]
    return {reading["intervalEnd"] for reading in told}
