from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Deployment, DeploymentError, Roles, Sealing, load_deployment, save_deployment

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "contracts/deployments/deployment.schema.json").read_text(encoding="utf-8")
)
GOOD: dict[str, Any] = {
    "chainId": 31337,
    "address": "0x" + "aB" * 20,
    "genesisHash": "0x" + "01" * 32,
    "codeHash": "0x" + "02" * 32,
    "block": 7,
    "roles": {
        "admin": "0x" + "11" * 20,
        "registrationOffice": "0x" + "22" * 20,
        "distributionAgent": "0x" + "33" * 20,
    },
}
DEPLOYMENT = Deployment(
    31337,
    "0x" + "aB" * 20,
    "0x" + "01" * 32,
    "0x" + "02" * 32,
    7,
    Roles("0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20),
)


def write(directory: Path, raw: object) -> None:
    (directory / "31337.json").write_text(json.dumps(raw), encoding="utf-8")


def test_good_file(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load_deployment(31337, tmp_path) == DEPLOYMENT


def test_written_file_fits_the_schema_and_comes_back(tmp_path: Path) -> None:
    path = save_deployment(DEPLOYMENT, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
    assert load_deployment(31337, tmp_path) == DEPLOYMENT


SEALING = {"consensus": "clique", "epoch": 9, "validators": ["0x" + "44" * 20, "0x" + "55" * 20]}


def test_who_may_seal_is_in_the_file(tmp_path: Path) -> None:
    sealed = replace(DEPLOYMENT, sealing=Sealing("clique", 9, ("0x" + "44" * 20, "0x" + "55" * 20)))
    write(tmp_path, {**GOOD, "sealing": SEALING})
    assert load_deployment(31337, tmp_path) == sealed

    written = json.loads(save_deployment(sealed, tmp_path).read_text(encoding="utf-8"))
    jsonschema.validate(written, SCHEMA)
    assert written == {**GOOD, "sealing": SEALING}


@pytest.mark.parametrize(
    ("sealing", "told"),
    [
        (None, "sealing would be an object"),
        ({**SEALING, "consensus": "raft"}, "sealing.consensus is 'raft'"),
        ({**SEALING, "consensus": []}, r"sealing.consensus is \[\]"),
        ({**SEALING, "epoch": 0}, "sealing.epoch is 0"),
        ({**SEALING, "epoch": True}, "sealing.epoch is True"),
        ({**SEALING, "validators": []}, r"sealing.validators is \[\]"),
        ({**SEALING, "validators": ["0x1"]}, r"sealing.validators\[0\] is '0x1'"),
        ({**SEALING, "validators": ["0x" + "aa" * 20, "0x" + "AA" * 20]}, "names somebody twice"),
        ({**SEALING, "voters": 1}, "sealing.voters is not a known key"),
    ],
)
def test_sealing_that_makes_no_sense_is_told(tmp_path: Path, sealing: object, told: str) -> None:
    write(tmp_path, {**GOOD, "sealing": sealing})
    with pytest.raises(DeploymentError, match=told):
        load_deployment(31337, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("chainId", 1),
        ("chainId", "31337"),
        ("address", "0x12"),
        ("address", None),
        ("genesisHash", "0x" + "AA" * 32),
        ("codeHash", 5),
        ("block", -1),
        ("block", True),
        ("roles", []),
        ("unknown", 1),
    ],
)
def test_each_wrong_value_is_named(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path, {**GOOD, key: value})
    with pytest.raises(DeploymentError, match=rf"31337\.json: {key} "):
        load_deployment(31337, tmp_path)


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"chainId": 31337, "roles": {"admin": "x", "boss": 1}})
    with pytest.raises(DeploymentError) as caught:
        load_deployment(31337, tmp_path)
    for key in ("address", "genesisHash", "codeHash", "block", "roles.admin", "roles.boss", "roles.registrationOffice"):
        assert f"{key} is" in str(caught.value)


def test_missing_file_names_the_chains_there_are(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(DeploymentError, match=r"no deployment on chain 5: .*31337\)"):
        load_deployment(5, tmp_path)


@pytest.mark.parametrize("text", ["{", "", "[]", "3"])
def test_what_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "31337.json").write_text(text, encoding="utf-8")
    with pytest.raises(DeploymentError, match=r"JSON"):
        load_deployment(31337, tmp_path)


def test_impossible_deployment_is_not_written(tmp_path: Path) -> None:
    wrong = Deployment(31337, "0x", DEPLOYMENT.genesis_hash, DEPLOYMENT.code_hash, 7, DEPLOYMENT.roles)
    with pytest.raises(DeploymentError, match="not written: address"):
        save_deployment(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


@given(
    key=st.sampled_from(["address", "genesisHash", "codeHash", "block"]),
    value=st.one_of(st.none(), st.integers(max_value=-1), st.text(max_size=70), st.lists(st.integers(), max_size=2)),
)
def test_loader_and_schema_refuse_the_same(tmp_path_factory: pytest.TempPathFactory, key: str, value: object) -> None:
    directory = tmp_path_factory.mktemp("deployments")
    write(directory, {**GOOD, key: value})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, key: value}, SCHEMA)
    with pytest.raises(DeploymentError, match=key):
        load_deployment(31337, directory)
