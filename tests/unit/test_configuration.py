from __future__ import annotations

import re
from pathlib import Path

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from agent.configuration import PREFIX, load
from agent.configuration.checks import checksummed
from agent.configuration.line import parse_line
from agent.domain.errors import ConfigurationInvalid
from agent.domain.lines import SerialLine, TcpLine

SHIPPED = Path(__file__).parents[2] / "config" / "prosumer-agent.toml"
ACCOUNT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
HASH = "0x" + "ab" * 32

GOOD = f"""
[household]
account = "{ACCOUNT}"
area = "tehran-north"
rated_power_w = 15000
[meters.production]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:5020"
[meters.consumption]
profile = "eastron_sdm630"
line = "rtu:///dev/serial/by-id/adapter?baud=19200&parity=E"
[chain]
id = 31337
genesis = "{HASH}"
contract = "{ACCOUNT}"
code_hash = "{HASH}"
consensus = "qbft"
validators = ["{ACCOUNT}"]
[[chain.nodes]]
url = "https://node-1.example:8545"
area = "tehran-north"
[[chain.nodes]]
url = "http://127.0.0.1:8545"
area = "tehran-south"
"""
PINS = f"""consensus = "qbft"
validators = ["{ACCOUNT}"]
"""
UNPROVEN = GOOD.replace(PINS, "unproven = true\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD)
    return path


def problems(path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigurationInvalid) as caught:
        load(path, environ or {})
    return caught.value.problems


def test_a_good_file_is_read_whole(file: Path) -> None:
    configuration = load(file, {})

    assert configuration.household.rated_power_w == 15_000
    assert configuration.meters.production.place == TcpLine("127.0.0.1", 5020)
    assert configuration.meters.consumption.place == SerialLine("/dev/serial/by-id/adapter", 19200, "E", 1)
    assert [node.url for node in configuration.chain.nodes] == ["https://node-1.example:8545", "http://127.0.0.1:8545"]
    assert configuration.telemetry.enabled is False
    assert configuration.journal.directory == Path("/var/lib/prosumer-agent")


def test_it_cannot_be_changed_afterwards(file: Path) -> None:
    configuration = load(file, {})

    with pytest.raises(ValueError, match="frozen"):
        configuration.log.level = "debug"


def test_every_wrong_value_is_reported_at_once_by_key(file: Path) -> None:
    bad = f"""
    [household]
    account = "{ACCOUNT.lower()}"
    area = "a/b"
    rated_power_w = -1
    [meters]
    confirmations = true
    sample_evry_s = 1
    [meters.production]
    line = "usb0"
    unit = 300
    direction = "backwards"
    [meters.consumption]
    profile = "x"
    line = "rtu:///dev/ttyUSB0?baud=9601"
    [chain]
    id = "one"
    genesis = "0x12"
    contract = "{ACCOUNT.replace("d8dA", "d8DA")}"
    unproven = "perhaps"
    consensus = "raft"
    epoch = 0
    validators = ["me"]
    checkpoint_block = 5
    [[chain.nodes]]
    url = "http://node.example:8545"
    [fees]
    max_fee_per_gas_wei = 1.5
    [telemetry]
    enabled = true
    port = 70000
    key_file = "k.pem"
    [clock]
    step_tolerance_s = 0
    [log]
    level = "loud"
    [extra]
    """

    keys = [problem.split(": ")[0] for problem in problems(file, bad)]

    assert sorted(keys) == sorted(
        [
            "household.account", "household.area", "household.rated_power_w", "meters.confirmations",
            "meters.sample_evry_s", "meters.production.profile", "meters.production.line", "meters.production.unit",
            "meters.production.direction", "meters.consumption.line", "chain.id", "chain.genesis", "chain.contract",
            "chain.code_hash", "chain.unproven", "chain.consensus", "chain.epoch", "chain.validators[0]",
            "chain.checkpoint_hash", "chain.nodes[0].area", "chain.nodes[0].url",
            "fees.max_fee_per_gas_wei", "telemetry.host", "telemetry.port", "telemetry.key_file",
            "clock.step_tolerance_s", "log.level", "extra",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("rated_power_w = 15000", "rated_power = 15000"),
            r"household\.rated_power: is no known key; did you mean 'rated",
        ),
        (
            ("rated_power_w = 15000", ""),
            r"household\.rated_power_w: is missing; right is: the most that the connection",
        ),
        (("id = 31337", 'id = "x"'), r"chain\.id: is 'x', but input should be a valid integer.*; right is: EIP-155"),
        (("eastron_sdm120", ""), r"meters\.production\.profile: is '', but .*; right is: the meter's model"),
        ((ACCOUNT, ACCOUNT.lower()), f"household.account: .* has no checksum; .* write {ACCOUNT}"),
        ((ACCOUNT, ACCOUNT.replace("6BF", "6bF")), "wrong checksum: a digit is mistyped"),
        ((ACCOUNT, "me"), "'me' is no address; 0x and 40 hexadecimal digits are"),
        (("https://node-1", "http://node-1"), r"chain\.nodes\[0\]\.url: is http:// to another machine"),
        (("http://127.0.0.1:8545", "https://node-1.example:8545"), "names one node twice"),
        (("tcp://127.0.0.1:5020", "rtu:///dev/serial/by-id/adapter?baud=19200&parity=E"), "both meters are unit 1"),
        (("[household]", "[household]\nname ="), r"is not TOML: .*line 3"),
        (("[household]", "household = 1\n[house]"), r"household: is a value, but is a section; write \[household\]"),
    ],
)
def test_a_problem_says_what_is_wrong_and_what_would_be_right(file: Path, change: tuple[str, str], told: str) -> None:
    found = problems(file, GOOD.replace(*change, 1))

    assert any(re.search(told, problem) for problem in found), found


def test_two_meters_on_one_line_share_its_settings(file: Path) -> None:
    text = GOOD.replace("tcp://127.0.0.1:5020", "rtu:///dev/serial/by-id/adapter?baud=9600")
    text = text.replace('profile = "eastron_sdm630"', 'profile = "eastron_sdm630"\nunit = 2')

    assert ["baud, parity and stop must be the same" in problem for problem in problems(file, text)] == [True]


@pytest.mark.parametrize(("unproven", "nodes", "is_good"), [("true", 1, True), ("false", 1, False), ("true", 0, False)])
def test_one_node_is_enough_only_where_nothing_is_proven(
    file: Path, unproven: str, nodes: int, *, is_good: bool
) -> None:
    good = UNPROVEN if unproven == "true" else GOOD
    head, *sections = good.split("[[chain.nodes]]")
    text = "[[chain.nodes]]".join([head, *sections[:nodes]])
    file.write_text(text if nodes else text.replace("[chain]", "[chain]\nnodes = []"))

    if is_good:
        assert load(file, {}).chain.unproven
    else:
        with pytest.raises(ConfigurationInvalid, match=r"chain\.nodes: has \d full node"):
            load(file, {})


TELEMETRY = "[telemetry]\nenabled = true\n"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", r"telemetry\.host: is missing"),
        ('host = "mqtt://broker"', "is no host"),
        ('host = "broker.example"\ntls = false', "anyone on the way can read it"),
        ('host = "broker.example"', "could not tell this household from another"),
        ('host = "127.0.0.1"\npassword_file = "x"', r"telemetry\.password_file: is set without telemetry\.username"),
        ('host = "127.0.0.1"\nkey_file = "x"', r"telemetry\.key_file: is set without telemetry\.certificate_file"),
    ],
)
def test_telemetry_that_would_be_unsafe_is_refused(file: Path, lines: str, told: str) -> None:
    found = problems(file, GOOD + TELEMETRY + lines)

    assert len(found) == 1
    assert re.search(told, found[0]), found


@pytest.mark.parametrize(
    "lines",
    [
        'host = "127.0.0.1"\ntls = false\nport = 1883',
        'host = "broker.example"\ntls = false\nallow_plain = true',
        'host = "broker.example"\nusername = "h"\npassword_file = "p"',
        'host = "broker.example"\ncertificate_file = "c"\nkey_file = "k"',
        'host = "broker.example"\ncertificate_file = "both"',
    ],
)
def test_telemetry_that_is_safe_or_asked_for_is_taken(file: Path, lines: str) -> None:
    file.write_text(GOOD + TELEMETRY + lines)

    assert load(file, {}).telemetry.enabled


def test_the_environment_wins(file: Path) -> None:
    environ = {
        "PROSUMER_AGENT__TELEMETRY__PORT": "1883",
        "PROSUMER_AGENT__METERS__PRODUCTION__UNIT": "7",
        "PROSUMER_AGENT__METERS__PRODUCTION__SERIAL": "00123",
        "PROSUMER_AGENT__CHAIN__DEPTH": "3",
        "PROSUMER_AGENT__CHAIN__NODES": '[{url = "https://only.example", area = "a"}]',
        "PATH": "/bin",
    }

    file.write_text(UNPROVEN)
    configuration = load(file, environ)

    assert configuration.telemetry.port == 1883
    assert configuration.meters.production.unit == 7
    assert configuration.meters.production.serial == "00123"
    assert [node.area for node in configuration.chain.nodes] == ["a"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("TELEMETRY__PRT", r"telemetry\.prt: is no known key; did you mean 'port'"),
        ("TELEMTRY__PORT", r"telemtry: is no known key; did you mean 'telemetry'"),
        ("HOUSEHOLD__ACCOUNT__X", "names no key"),
        ("__PORT", "names no key"),
        ("LOG__", "names no key"),
    ],
)
def test_an_unknown_variable_is_an_error(file: Path, name: str, told: str) -> None:
    assert re.search(told, problems(file, GOOD, {PREFIX + name: "1"})[0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[keystore]\npassphrase = "c4nary"', "name the file in passphrase_file"),
        ('[telemetry]\npassword = "c4nary"', "name the file in password_file"),
        ('[household]\nprivate_key = "c4nary"', "leave it out"),
        ('[fees]\nanything = "c4nary"', "is no known key"),
        ("[fees]\n[c4nary]\nanything = 5", "is no known key"),
        ('keystore = "c4nary"', "write \\[keystore\\]"),
        ('[[chain.nodes]]\narea="a"\nurl = "https://me:c4nary@node.example"', "holds no secrets"),
        ('[[chain.nodes]]\narea="a"\nurl = "node.example/c4nary"', "is no address of a full node"),
    ],
)
def test_a_misplaced_secret_is_refused_and_not_repeated(file: Path, text: str, told: str) -> None:
    found = problems(file, text)

    assert any(re.search(told, problem) for problem in found), found
    assert "c4nary" not in "".join(found).replace("c4nary: is no known key", "")


NODE = "https://me:c4nary-of-more-than-the-sixty-characters-that-are-shown@node.example/v3/c4nary"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[[chain.nodes]]", f'nodes = "{NODE}"\n[[other]]'),
        ("[[chain.nodes]]", f'nodes = ["{NODE}"]\n[[other]]'),
        ("[[chain.nodes]]", f'nodes.url = "{NODE}"\n[[other]]'),
        ('url = "https://node-1.example:8545"', f'url = "{NODE}"'),
        ('url = "https://node-1.example:8545"', f'url = ["{NODE}"]'),
        ('area = "tehran-south"', f'area = "{NODE}"'),
        ("tcp://127.0.0.1:5020", "tcp://me:c4nary@meter.example:502"),
        ("[[chain.nodes]]", '[telemetry]\nenabled = true\nhost = "mqtts://me:c4nary@broker.example"\n[[chain.nodes]]'),
    ],
)
def test_an_address_with_a_password_is_not_repeated(file: Path, old: str, new: str) -> None:
    found = problems(file, GOOD.replace(old, new))

    assert found != []
    assert "c4nary" not in "".join(found)


def test_a_variable_with_a_password_is_not_repeated(file: Path) -> None:
    for value in (NODE, f"[{{url = '{NODE}', area = 'a'}}]", f"['{NODE}']"):
        found = problems(file, GOOD, {f"{PREFIX}CHAIN__NODES": value})

        assert "c4nary" not in "".join(found)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"\xff", "not UTF-8"), (b"a = " + b"[" * 5000, "is n"), (b"#" * 1_000_001, "longer than"), (b"a", "not TOML")],
)
def test_what_is_no_configuration_is_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigurationInvalid, match=told):
        load(path, {})


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="--config"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigurationInvalid, match="directory"):
        load(tmp_path, {})


# Values.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tcp://meter:502", TcpLine("meter", 502)),
        ("tcp://[::1]:1502", TcpLine("::1", 1502)),
        ("tcp://10.0.0.1", TcpLine("10.0.0.1", 502)),
        ("rtu-over-tcp://gw:4001/", TcpLine("gw", 4001, rtu_frames=True)),
        ("rtu:///dev/ttyUSB0", SerialLine("/dev/ttyUSB0", 9600, "N", 1)),
        ("rtu:///dev/serial/by-id/x?baud=2400&parity=e&stop=2", SerialLine("/dev/serial/by-id/x", 2400, "E", 2)),
    ],
)
def test_lines_are_read(text: str, line: object) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize(
    "text",
    [
        "", "/dev/ttyUSB0", "tcp://", "tcp://h:99999", "tcp://h:x", "tcp://h/path", "tcp://u@h:1", "rtu://dev/ttyUSB0",
        "rtu:///", "rtu:///dev/x?baud=1", "rtu:///dev/x?parity=odd", "rtu:///dev/x?stop=3", "rtu:///dev/x?speed=1",
        "tcp://[::1", "tcp://h:0",
    ],
)  # fmt: skip
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"right|are known"):
        parse_line(text)


@given(st.text())
def test_no_text_crashes_the_reading_of_a_line(text: str) -> None:
    try:
        parse_line(text)
    except ValueError:
        return


@given(st.binary(min_size=20, max_size=20))
def test_the_checksum_is_what_another_implementation_computes(raw: bytes) -> None:
    assert checksummed("0x" + raw.hex()) == to_checksum_address(raw)


@given(
    st.dictionaries(
        st.from_regex(r"PROSUMER_AGENT__(HOUSEHOLD|METERS|CHAIN|LOG)(__[A-Z_]{0,12}){0,3}", fullmatch=True), st.text()
    )
)
def test_no_environment_crashes_it(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationInvalid):
        load(SHIPPED, environ)
