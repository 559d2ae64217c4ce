// Headers: their form, their hash, and whether those who may seal them did. Written from agent/light/EVIDENCE.md alone.
import { RLP } from "@ethereumjs/rlp";
import { ecrecover, pubToAddress } from "@ethereumjs/util";
import { getBytes, hexlify, keccak256 } from "ethers";

const NAMES = [
    "parentHash", "unclesHash", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
    "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFee", "withdrawalsRoot",
    "blobGasUsed", "excessBlobGas", "parentBeaconRoot", "requestsHash",
];
// Bytes of each field; of a number, how many it has at most, below 0.
const SIZES = [32, 32, 20, 32, 32, 32, 256, -32, -8, -8, -8, -8, null, 32, 8, -32, 32, -8, -8, 32, 32];
const EXTRA = NAMES.indexOf("extraData");
const BFT_MIX = hexlify(new TextEncoder().encode("ctical byzantine fault tolerance"));
const NO_MIX = "0x" + "00".repeat(32);
const NO_UNCLES = keccak256("0xc0");
const NOBODY = "0x" + "00".repeat(20);
const AGAINST = "0x" + "00".repeat(8);
const FOR = "0x" + "ff".repeat(8);

export class Refused extends Error {}

// Sealed by somebody as if the validators were others than those that are known.
export class Stranger extends Refused {
    constructor(why, by) {
        super(why);
        this.by = by;
    }
}

export function must(holds, why) {
    if (!holds) throw new Refused(why);
}

export const same = (one, other) => one.length === other.length && one.every((item, at) => item === other[at]);

export function number(bytes, most = 32) {
    must(bytes instanceof Uint8Array && bytes.length <= most && bytes[0] !== 0, "a number is not written as one");
    return bytes.length ? BigInt(hexlify(bytes)) : 0n;
}

export function items(value, count = null) {
    must(Array.isArray(value) && (count === null || value.length === count), "a list has another form");
    return value;
}

export function octets(value, length = null) {
    must(value instanceof Uint8Array && (length === null || value.length === length), "a byte string has another form");
    return value;
}

export function decoded(bytes) {
    try {
        return RLP.decode(bytes);
    } catch (error) {
        throw new Refused(`no RLP: ${error.message}`);
    }
}

export function header(hex) {
    const fields = items(decoded(getBytes(hex)));
    must([15, 16, 17, 20, 21].includes(fields.length), `a header of ${fields.length} fields`);
    const found = { fields };
    fields.forEach((field, at) => {
        const size = SIZES[at];
        found[NAMES[at]] = size < 0 ? number(field, -size) : hexlify(octets(field, size));
    });
    return found;
}

const hashWith = (one, extra) =>
    keccak256(RLP.encode(one.fields.map((field, at) => (at === EXTRA ? extra : field))));

export function blockHash(one, consensus) {
    if (consensus === "clique" || one.number === 0n) return keccak256(RLP.encode(one.fields));
    const [vanity, validators, vote] = bft(one, consensus).items;
    return hashWith(one, RLP.encode([vanity, validators, vote, ...(consensus === "qbft" ? [new Uint8Array(), []] : [])]));
}

// Files of one chain share headers, and a recovery takes milliseconds.
const recovered = new Map();

function signer(digest, seal) {
    must(seal.length === 65 && seal[64] <= 1, "a seal is no signature");
    const question = digest + hexlify(seal);
    if (!recovered.has(question)) recovered.set(question, recover(getBytes(digest), seal));
    const by = recovered.get(question);
    must(by !== null, "a seal recovers to nobody");
    return by;
}

function recover(digest, seal) {
    try {
        return hexlify(pubToAddress(ecrecover(digest, BigInt(seal[64]) + 27n, seal.slice(0, 32), seal.slice(32, 64))));
    } catch {
        return null;
    }
}

function bft(one, consensus) {
    const parts = items(decoded(one.fields[EXTRA]), 5);
    const [vanity, validators, vote, round, seals] = parts;
    octets(vanity, 32);
    if (consensus === "ibft2") octets(round, 4);
    else number(octets(round), 4);
    const none = consensus === "ibft2" ? vote instanceof Uint8Array && vote.length === 0 : Array.isArray(vote) && vote.length === 0;
    let cast = null;
    if (!none) {
        const [subject, kind] = items(vote, 2);
        const remove = consensus === "ibft2" ? "0x00" : "0x";
        must(["0xff", remove].includes(hexlify(octets(kind))), "a vote that means nothing");
        cast = { subject: hexlify(octets(subject, 20)), add: hexlify(kind) === "0xff" };
    }
    return {
        items: parts,
        validators: items(validators).map((who) => hexlify(octets(who, 20))),
        cast,
        seals: items(seals).map((seal) => octets(seal, 65)),
    };
}

// One vote more, which replaces its voter's last one on the same account; decided by more than half.
function voted(place, voter, cast, keepsIdle) {
    let votes = place.votes.filter((one) => one.voter !== voter || one.subject !== cast.subject);
    if (!keepsIdle && cast.add === place.validators.includes(cast.subject)) return { validators: place.validators, votes };
    votes = [...votes, { voter, ...cast }];
    const alike = votes.filter((one) => one.subject === cast.subject && one.add === cast.add).length;
    if (2 * alike <= place.validators.length) return { validators: place.validators, votes };
    votes = votes.filter((one) => one.subject !== cast.subject);
    if (cast.add) return { validators: [...new Set([...place.validators, cast.subject])].sort(), votes };
    const validators = place.validators.filter((one) => one !== cast.subject);
    must(validators.length, "the last validator is voted away");
    return { validators, votes: votes.filter((one) => one.voter !== cast.subject) };
}

function followClique(place, one, epoch) {
    const { validators } = place;
    const count = validators.length;
    must(one.mixHash === NO_MIX, "mix hash is not Clique's");
    const extra = one.fields[EXTRA];
    must(extra.length >= 97 && (extra.length - 97) % 20 === 0, "extra data is not Clique's");
    const listed = [];
    for (let at = 32; at < extra.length - 65; at += 20) listed.push(hexlify(extra.slice(at, at + 20)));
    const checkpoint = one.number % epoch === 0n;
    if (checkpoint) {
        must(one.miner === NOBODY && one.nonce === AGAINST, "a checkpoint votes");
        must(listed.length, "a checkpoint lists nobody");
    } else must(!listed.length && [FOR, AGAINST].includes(one.nonce), "no checkpoint, and no vote");
    const by = signer(hashWith(one, extra.slice(0, -65)), extra.slice(-65));
    must(one.difficulty === 1n || one.difficulty === 2n, "difficulty says neither in turn nor out of turn");
    const known = (holds, why) => {
        if (!holds) throw new Stranger(why, by);
    };
    known(!checkpoint || same(listed, validators), "a checkpoint lists other signers");
    known(validators.includes(by), `sealed by ${by}, who is not authorised`);
    const span = BigInt(Math.floor(count / 2) + 1);
    known(!place.recent.some((last) => last.by === by && last.number > one.number - span), `${by} sealed just before`);
    const inTurn = validators[Number(one.number % BigInt(count))] === by;
    known(one.difficulty === (inTurn ? 2n : 1n), "difficulty does not say whose turn it was");
    let next = { validators, votes: checkpoint ? [] : place.votes };
    if (!checkpoint && one.miner !== NOBODY) next = voted(place, by, { subject: one.miner, add: one.nonce === FOR }, false);
    const oldest = one.number - BigInt(Math.floor(next.validators.length / 2)) - 1n;
    const recent = [...place.recent, { number: one.number, by }].filter((last) => last.number > oldest);
    return { ...next, recent };
}

function followBft(place, one, consensus, epoch) {
    const { validators } = place;
    must(one.mixHash === BFT_MIX && one.difficulty === 1n && one.nonce === AGAINST, "mix hash, difficulty or nonce is not BFT's");
    const extra = bft(one, consensus);
    must(same(extra.validators, validators), "names other validators");
    must(validators.includes(one.miner), `proposed by ${one.miner}, who is no validator`);
    const [vanity, listed, vote, round] = extra.items;
    const digest = hashWith(one, RLP.encode([vanity, listed, vote, round, ...(consensus === "qbft" ? [[]] : [])]));
    const quorum = Math.ceil((2 * validators.length) / 3);
    must(extra.seals.length >= quorum && extra.seals.length <= validators.length, `${extra.seals.length} seals`);
    const by = extra.seals.map((seal) => signer(digest, seal));
    must(new Set(by).size === by.length, "a validator sealed twice");
    must(by.every((who) => validators.includes(who)), "sealed by somebody who is no validator");
    let next = { validators, votes: place.votes };
    if (one.number % epoch === 0n) next.votes = [];
    else if (extra.cast) next = voted(place, one.miner, extra.cast, true);
    return { ...next, recent: [] };
}

// Whether more than half of those who are trusted are among the sealers.
export const vouched = (trusted, by) => 2 * new Set(by.filter((who) => trusted.includes(who))).size > trusted.length;

const sealers = (places) => places.map((place) => place.recent.at(-1).by);

// The last of consecutive places that those who are trusted vouch for, and then those whom they let in, and so on.
export function settled(trusted, places) {
    let at = 0;
    for (;;) {
        let newer = places.length - 1;
        while (newer > at && !vouched(trusted, sealers(places.slice(newer)))) newer -= 1;
        if (newer === at || same(places[newer].validators, trusted)) return newer;
        at = newer;
        trusted = places[newer].validators;
    }
}

// A header whose signer is not asked to be known: after `place`, and in Clique's form.
export function past(place, one, by) {
    return { ...place, number: one.number, hash: blockHash(one, "clique"), recent: [{ number: one.number, by }] };
}

export function follow(place, one, rules) {
    must(one.number === place.number + 1n && one.parentHash === place.hash, `block ${one.number} does not follow`);
    must(one.unclesHash === NO_UNCLES, "uncles");
    const next = rules.consensus === "clique" ? followClique(place, one, rules.epoch) : followBft(place, one, rules.consensus, rules.epoch);
    return { number: one.number, hash: blockHash(one, rules.consensus), ...next };
}
