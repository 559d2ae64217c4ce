"""``prosumer-operator consensus``: who built which blocks, when, and whose turn was missed."""

from __future__ import annotations

import argparse

from agent.cli.table import grid
from agent.cli.table import moment as shown_time
from agent.domain.block_statistics import BuiltBlock, Consensus, Intervals, Origin, Rotation, Share, consensus
from agent.operator.answer import Answer, Told
from agent.operator.options import Commands, Shared, add_command, opened, whole
from agent.operator.ports import Chain

_MOST_BLOCKS = 100_000
_BY_DEFAULT = 1_000
_LISTED_BLOCKS = 10

# What the figures rest on, said with them.
_ROTATIONS = {
    Rotation.ONE_PRODUCER: "one producer built all of them, so nobody takes turns: a development chain, or one"
    " validator",
    Rotation.AFTER_THE_LAST: "assumed: producers take turns in the order of their addresses, each after the last"
    " block's; whoever is passed over missed a turn; those that built none of these blocks are not known",
    Rotation.BY_NUMBER: "the headers say which blocks were built out of turn; assumed: the signers are those seen here,"
    " and a block's turn is its number modulo how many they are, in the order of their addresses",
    Rotation.NONE_SEEN: "the blocks come at no fixed time, or their builders in no order that is seen here: no turn can"
    " be called missed",
}
_ORIGINS = {
    frozenset({Origin.STATED}): "stated by the headers, and not proven here",
    frozenset({Origin.SEALED}): "recovered from the seals in the headers",
    frozenset(
        {Origin.STATED, Origin.SEALED}
    ): "recovered from the seals where there are any, else stated and not proven",
}


def _blocks(text: str) -> int:
    number = whole(text)
    if not 1 <= number <= _MOST_BLOCKS:
        raise argparse.ArgumentTypeError(f"{text} is not 1 to {_MOST_BLOCKS} blocks")
    return number


def add(commands: Commands, shared: Shared) -> None:
    """Add the command's line."""
    command = add_command(
        commands,
        "consensus",
        "Show who built which blocks, when, and whose turn was missed.",
        [shared.chain, shared.output],
    )
    command.add_argument(
        "--blocks", type=_blocks, default=_BY_DEFAULT, metavar="N", help="the newest so many (default: %(default)s)"
    )
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> Answer:
    """Do what was asked."""
    with opened(asked) as wiring:
        return inspect(wiring.chain, asked.blocks)


def inspect(chain: Chain, blocks: int) -> Answer:
    """Look at the newest blocks' headers; the first block of all was built by nobody and is left out.

    Args:
        chain: the operator's node.
        blocks: how many.

    Raises:
        NodeUnavailable: the node gave no usable answer.
    """
    newest = chain.head().number
    built = chain.headers(max(1, newest - blocks + 1), newest)
    if not built:
        return Answer({"chainId": chain.chain_id(), "blocks": 0}, "This chain has no block but its first.")
    found = consensus(built)
    origin = _ORIGINS[frozenset(block.origin for block in built)]
    told: Told = {
        "chainId": chain.chain_id(),
        "blocks": found.blocks,
        "firstBlock": built[0].number,
        "lastBlock": built[-1].number,
        "firstAt": built[0].at,
        "lastAt": built[-1].at,
        "producerIs": origin,
        "rotation": found.rotation.value,
        "assumed": _ROTATIONS[found.rotation],
        "intervals": None if found.intervals is None else _intervals(found.intervals),
        "producers": [_share(share, found.blocks) for share in found.shares],
        "newest": [{"number": block.number, "at": block.at, "producer": block.producer} for block in _newest(built)],
    }
    return Answer(told, _text(found, built, origin))


def _newest(built: list[BuiltBlock]) -> list[BuiltBlock]:
    return built[: -_LISTED_BLOCKS - 1 : -1]


def _intervals(intervals: Intervals) -> Told:
    return {
        "shortestS": intervals.shortest,
        "medianS": intervals.median,
        "longestS": intervals.longest,
        "fixedS": intervals.fixed,
    }


def _share(share: Share, blocks: int) -> Told:
    return {
        "producer": share.producer,
        "blocks": share.blocks,
        "sharePercent": round(100 * share.blocks / blocks, 1),
        "lastBlock": share.last_block,
        "lastAt": share.last_at,
        "longestGapBlocks": share.longest_gap,
        "missedTurns": share.missed,
    }


def _text(found: Consensus, built: list[BuiltBlock], origin: str) -> str:
    first, last = built[0], built[-1]
    lines = [
        f"Blocks {first.number} to {last.number} ({found.blocks}), {shown_time(first.at)} to {shown_time(last.at)}",
        f"Producers: {origin}.",
    ]
    if (between := found.intervals) is not None:
        kept = "no fixed time" if between.fixed is None else f"one every {between.fixed} s"
        lines.append(
            f"Intervals: {between.shortest} s at least, {between.median} s in the middle, {between.longest} s at most;"
            f" {kept}"
        )
    lines += [
        f"Turns: {_ROTATIONS[found.rotation]}.",
        "",
        grid(
            ["producer", "blocks", "share", "last block", "at", "longest gap", "missed turns"],
            [
                (
                    share.producer,
                    share.blocks,
                    f"{100 * share.blocks / found.blocks:.1f} %",
                    share.last_block,
                    shown_time(share.last_at),
                    share.longest_gap,
                    share.missed,
                )
                for share in found.shares
            ],
            right=(1, 2, 3, 5, 6),
        ),
        "",
        "The newest:",
        grid(
            ["block", "time", "producer"],
            [(block.number, shown_time(block.at), block.producer) for block in _newest(built)],
            right=(0,),
        ),
    ]
    return "\n".join(lines)
