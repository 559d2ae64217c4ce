"""``prosumer-operator requests``: what households ask of the registration office."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli import table
from agent.cli.asking import confirmed
from agent.cli.misuse import Misuse
from agent.domain.errors import BadRequest
from agent.domain.office_requests import KeptRequest, RequestState, refusable
from agent.operator import office
from agent.operator.answer import Answer, Told
from agent.operator.deployed import unit_here
from agent.operator.enrolment import connection_of
from agent.operator.options import (
    Commands,
    Shared,
    account,
    add_command,
    opened,
    register,
    request_number,
    seconds,
    sender,
    watts,
    wei,
)
from agent.operator.ports import Register
from agent.privacy import close_process

# Registration takes a day or two; a register that is older has carried energy which nobody watched.
_MOST_AGE_S = 7 * 24 * 3600
_MOST_REASON = 500


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands, "requests", "Take in, list, show, approve and refuse requests; export and erase personal data.", []
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    kept = [shared.database, shared.state, shared.output]

    new = add_command(actions, "add", "Verify a request's file and keep it.", [shared.chain, *kept])
    new.add_argument("file", type=Path, metavar="REQUEST.json", help="written by prosumer-agent enrol")
    new.set_defaults(run=_add)

    listing = add_command(actions, "list", "All requests, without personal data.", kept)
    listing.add_argument("--state", choices=[state.value for state in RequestState], help="only those")
    listing.add_argument("--household", type=account, metavar="ADDRESS", help="only its own: its history")
    listing.set_defaults(run=_list)

    one = add_command(actions, "show", "One request with its personal data.", kept)
    one.add_argument("number", type=request_number, metavar="NUMBER", help="the request's, as requests list shows it")
    one.set_defaults(run=_show)

    export = add_command(actions, "export", "All that is kept of a household, personal data too.", kept)
    export.add_argument("household", type=account, metavar="ADDRESS", help="the household's account")
    export.set_defaults(run=_export)

    approving = add_command(
        actions,
        "approve",
        "Show a request, ask, and carry it out on the chain.",
        [shared.chain, shared.key, shared.database, shared.output],
    )
    approving.add_argument(
        "number", type=request_number, metavar="NUMBER", help="the request's, as requests list shows it"
    )
    approval_options(approving)
    approving.set_defaults(run=_approve)

    refusing = add_command(actions, "refuse", "Refuse a request.", kept)
    refusing.add_argument(
        "number", type=request_number, metavar="NUMBER", help="the request's, as requests list shows it"
    )
    refusing.add_argument("--why", required=True, type=_reason, metavar="TEXT", help="for the household")
    refusing.set_defaults(run=_refuse)

    erasing = add_command(actions, "erase", "Delete a household's personal data from the database.", kept)
    erasing.add_argument("household", type=account, metavar="ADDRESS", help="the household's account")
    erasing.add_argument("--yes", action="store_true", help="erase without asking")
    erasing.set_defaults(run=_erase)


def approval_options(command: argparse.ArgumentParser) -> None:
    """Add what an approval takes."""
    command.add_argument(
        "--rated-power",
        type=watts,
        metavar="W",
        help="the connection's rating by its contract; refuse a request that states another (default: believe the"
        " request, so compare it yourself: the rating bounds what the household's readings may say)",
    )
    command.add_argument(
        "--fund", type=wei, metavar="WEI", help="top the household's account up to this balance, for its gas"
    )
    command.add_argument(
        "--max-age",
        type=seconds,
        default=_MOST_AGE_S,
        metavar="S",
        help="how old its registers may be, seconds (default: %(default)s)",
    )
    command.add_argument("--yes", action="store_true", help="approve without showing personal data and asking")


def approval(asked: argparse.Namespace) -> office.Approval:
    """How a command with ``approval_options`` approves.

    Raises:
        Misuse: it cannot ask, since its standard output is a program's.
    """
    if asked.json and not asked.yes:
        raise Misuse("--json needs --yes: a question would stand in the JSON")
    close_process()

    def agreed(shown: str) -> bool:
        if not asked.yes:
            print(shown)
        return confirmed("Is this the person who stands here, and shall it be approved?", yes=asked.yes)

    return office.Approval(
        rated_power_w=asked.rated_power,
        fund=asked.fund,
        most_age_s=asked.max_age,
        agreed=agreed,
        by=office.on_duty(),
        at=office.now(),
    )


def _add(asked: argparse.Namespace) -> Answer:
    close_process()
    with opened(asked) as wiring, register(asked, begins=True) as kept:
        desk = office.Office(wiring.chain, wiring.deployments, kept, wiring.recover)
        taken = desk.take_in(asked.file, office.now())
    return Answer(_told(taken))


def _list(asked: argparse.Namespace) -> Answer:
    state = None if asked.state is None else RequestState(asked.state)
    with register(asked) as kept:
        found = kept.requests(state, asked.household)
    rows = [
        (one.number, one.kind.value, one.household, one.state.value, table.moment(one.received_at),
         table.moment(one.decided_at), one.decided_by)
        for one in found
    ]  # fmt: skip
    heads = ("number", "kind", "household", "state", "received", "decided", "by")
    return Answer(
        {"requests": [_told(one) for one in found]}, table.grid(heads, rows, right=(0,)) if rows else "no requests"
    )


def _show(asked: argparse.Namespace) -> Answer:
    with register(asked) as kept:
        return _shown(kept, kept.request(asked.number))


def _export(asked: argparse.Namespace) -> Answer:
    with register(asked) as kept:
        shown = [_shown(kept, one) for one in kept.requests(None, asked.household)]
    return Answer(
        {"household": asked.household, "requests": [one.told for one in shown]},
        "\n\n".join(map(str, shown)) or f"nothing is kept of {asked.household}",
    )


def _shown(kept: Register, one: KeptRequest) -> Answer:
    """One request with its personal data, if they are there."""
    told, personal = _told(one), kept.personal(one.number)
    if personal is None:
        return Answer(told, office.review(one, None, None, ()))
    connection, others = connection_of(kept.document(one.number)), kept.others_of(personal.national_id, one.household)
    told["personalData"] = {
        "firstName": personal.first_name,
        "familyName": personal.family_name,
        "nationalId": personal.national_id,
    }
    told["connection"], told["sameNationalId"] = table.plain(connection), others
    return Answer(told, office.review(one, personal, connection, others))


def _approve(asked: argparse.Namespace) -> Answer:
    how = approval(asked)
    with opened(asked) as wiring, register(asked) as kept:
        desk = office.Office(wiring.chain, wiring.deployments, kept, wiring.recover)
        unit, sending = unit_here(wiring.chain, wiring.deployments), sender(wiring, asked)
        return Answer(desk.approve(sending, asked.number, how), unit=unit)


def _refuse(asked: argparse.Namespace) -> Answer:
    with register(asked) as kept:
        refusable(kept.request(asked.number))
        kept.refused(asked.number, office.on_duty(), office.now(), asked.why)
        return Answer(_told(kept.request(asked.number)))


def _erase(asked: argparse.Namespace) -> Answer:
    if asked.json and not asked.yes:
        raise Misuse("--json needs --yes: a question would stand in the JSON")
    if not confirmed(
        f"Shall the names and national ID of {asked.household} be deleted for good, with those of its older requests?",
        yes=asked.yes,
    ):
        raise BadRequest("nothing was erased")
    with register(asked) as kept:
        count = kept.erase(asked.household, office.on_duty(), office.now())
    return Answer({"household": asked.household, "erasedFromRequests": count})


def _told(one: KeptRequest) -> Told:
    plain = table.plain(one)
    # A dataclass is an object in JSON; this says so to the reader and to the type checker.
    return plain if isinstance(plain, dict) else {}


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _MOST_REASON or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a reason has 1 to {_MOST_REASON} printable characters")
    return text.strip()
