// A second verifier of evidence files: node verify.mjs PINS.json EVIDENCE.json...
// Without arguments it takes lines of JSON, [PINS.json, EVIDENCE.json...], from standard input.
//
// It shares no code with the agent: the format by agent/light/EVIDENCE.md, RLP, tries, hashes and signatures by libraries.
// PINS.json is what `prosumer-operator deploy --json` answers. One line of JSON for each file; exit code 0 if all of them
// are proven, 1 if one is not.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { RLP } from "@ethereumjs/rlp";
import { Trie } from "@ethereumjs/trie";
import { Transaction, getBytes, hexlify, keccak256, toBeHex } from "ethers";
import { Refused, Stranger, blockHash, decoded, follow, header, items, must, number, octets, past, same, settled, vouched } from "./headers.mjs";

const EMPTY_ROOT = keccak256("0x80");
const NO_CODE = keccak256("0x");
const MOST_NODES = 65;
// From the lowest bit up.
const SLOT = [
    ["consumedWh", 40], ["producedWh", 40], ["takenAt", 32], ["sequence", 24], ["epoch", 8], ["productionHeldS", 24],
    ["consumptionHeldS", 24], ["ratedPowerW", 24], ["tokensWh", 40],
];

// --- The file ---

function members(value, needed, allowed = []) {
    must(value !== null && typeof value === "object" && !Array.isArray(value), "an object is missing");
    const names = Object.keys(value);
    must(needed.every((name) => names.includes(name)), `one of ${needed} is missing`);
    must(names.every((name) => needed.includes(name) || allowed.includes(name)), "a member that is not known");
    return value;
}

function hex(value, length = null) {
    must(typeof value === "string" && /^0x(?:[0-9a-f]{2})*$/.test(value), "no bytes in small hex");
    must(length === null || value.length === 2 + 2 * length, `not ${length} bytes`);
    return value;
}

function list(value, most) {
    must(Array.isArray(value) && value.length <= most, "no list, or too long");
    return value.map((one) => hex(one));
}

function whole(value) {
    must(Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0), "no whole number");
    return value;
}

function read(bytes) {
    must(bytes.length <= 32 << 20 && bytes.every((byte) => byte < 0x80), "too long, or not ASCII");
    const text = new TextDecoder().decode(bytes);
    let told;
    try {
        told = JSON.parse(text);
    } catch (error) {
        throw new Refused(`no JSON: ${error.message}`);
    }
    // A member named twice, an escape, or another way to write a number would not come back.
    must(JSON.stringify(told) === text.replace(/[ \t\r\n]/g, ""), "JSON that is not written plainly");
    members(told, ["schema", "chainId", "contract", "block", "headers"], ["transaction", "state"]);
    must(told.schema === 1, "another schema");
    whole(told.chainId);
    whole(told.block);
    hex(told.contract, 20);
    must(list(told.headers, 10_000).length > 0, "no headers");
    must("transaction" in told || "state" in told, "neither a transaction nor a state");
    if ("transaction" in told) {
        const piece = members(told.transaction, ["hash", "index", "proof", "receiptProof"]);
        hex(piece.hash, 32);
        must(whole(piece.index) < 1 << 24, "index");
        list(piece.proof, MOST_NODES);
        list(piece.receiptProof, MOST_NODES);
    }
    if ("state" in told) {
        const piece = members(told.state, ["household", "accountProof", "contractProof", "slotProof"]);
        hex(piece.household, 20);
        for (const name of ["accountProof", "contractProof", "slotProof"]) list(piece[name], MOST_NODES);
    }
    return told;
}

// --- Tries ---

// What a trie holds under a key, or null. The library takes nodes that are not needed; here each must be.
async function proven(root, key, proof) {
    if (root === EMPTY_ROOT) {
        must(proof.length === 0 || same(proof, ["0x80"]), "nodes of an empty trie");
        return null;
    }
    // A node that stands inside its parent may be repeated after it.
    const nodes = proof.filter((node, at) => !(at && node.length < 2 + 2 * 32 && proof[at - 1].includes(node.slice(2))));
    const value = await walked(root, key, nodes);
    must(value !== undefined, "a proof does not lead from its root to its key");
    for (const left of nodes.keys()) {
        const rest = nodes.filter((_, at) => at !== left);
        must((await walked(root, key, rest)) === undefined, "a proof has a node that leads nowhere");
    }
    return value;
}

async function walked(root, key, nodes) {
    if (!nodes.length || keccak256(nodes[0]) !== root) return undefined;
    try {
        return await new Trie().verifyProof(getBytes(root), getBytes(key), nodes.map((node) => getBytes(node)));
    } catch {
        return undefined;
    }
}

// --- Pieces ---

function bloom(logs) {
    const bits = new Uint8Array(256);
    for (const [address, topics] of logs) {
        for (const item of [address, ...topics]) {
            const digest = getBytes(keccak256(item));
            for (const at of [0, 2, 4]) {
                const bit = ((digest[at] << 8) | digest[at + 1]) & 2047;
                bits[255 - (bit >> 3)] |= 1 << (bit & 7);
            }
        }
    }
    return bits;
}

async function transaction(piece, under, pins) {
    const key = hexlify(RLP.encode(piece.index));
    const raw = await proven(under.transactionsRoot, key, piece.proof);
    const receipt = await proven(under.receiptsRoot, key, piece.receiptProof);
    must(raw !== null && receipt !== null, "the block has no transaction at that index");
    must(keccak256(raw) === piece.hash, "another transaction lies there");
    let signed;
    try {
        signed = Transaction.from(hexlify(raw));
    } catch (error) {
        throw new Refused(`no transaction: ${error.message}`);
    }
    const chained = signed.type !== 0 || signed.chainId !== 0n;
    must(!chained || signed.chainId === BigInt(pins.chainId), "a transaction of another chain");
    const kind = receipt[0] < 0x80 ? receipt[0] : 0;
    must(kind === signed.type, "a receipt of another type");
    const [status, gas, filter, logs] = items(decoded(kind ? receipt.slice(1) : receipt), 4);
    must(["0x01", "0x", "0x00"].includes(hexlify(octets(status))), "a receipt without status");
    number(gas, 8);
    const found = items(logs).map((log) => {
        const [address, topics, data] = items(log, 3);
        octets(data);
        must(items(topics).length <= 4, "a log of too many topics");
        return [octets(address, 20), topics.map((topic) => octets(topic, 32))];
    });
    must(hexlify(bloom(found)) === hexlify(octets(filter, 256)), "a receipt's filter is not its logs'");
    const every = getBytes(under.logsBloom);
    must(filter.every((byte, at) => (byte & ~every[at]) === 0), "the header's filter lacks a log");
    return { sender: signed.from.toLowerCase(), nonce: signed.nonce, carriedOut: hexlify(status) === "0x01", logs: found.length };
}

async function account(root, address, proof) {
    const value = await proven(root, keccak256(address), proof);
    if (value === null) return { nonce: 0n, storageRoot: EMPTY_ROOT, codeHash: NO_CODE };
    const [nonce, balance, storageRoot, codeHash] = items(decoded(value), 4);
    number(balance);
    return { nonce: number(nonce, 8), storageRoot: hexlify(octets(storageRoot, 32)), codeHash: hexlify(octets(codeHash, 32)) };
}

async function state(piece, under, pins) {
    const own = await account(under.stateRoot, piece.household, piece.accountProof);
    const market = await account(under.stateRoot, pins.contract.toLowerCase(), piece.contractProof);
    must(market.codeHash === pins.codeHash.toLowerCase(), "the market's code is another");
    const key = keccak256(toBeHex((1n << 160n) | BigInt(piece.household), 32));
    const value = await proven(market.storageRoot, key, piece.slotProof);
    let word = value === null ? 0n : number(octets(decoded(value)));
    const slot = {};
    for (const [name, bits] of SLOT) {
        slot[name] = Number(word & ((1n << BigInt(bits)) - 1n));
        word >>= BigInt(bits);
    }
    return { nonce: Number(own.nonce), slot };
}

// --- All of it ---

function followed(told, pins) {
    const rules = { consensus: pins.consensus, epoch: BigInt(pins.epoch) };
    const validators = [...new Set(pins.validators.map((one) => one.toLowerCase()))].sort();
    const pinned = { number: BigInt(pins.checkpointBlock ?? 0), hash: (pins.checkpointHash ?? pins.genesis).toLowerCase() };
    const headers = told.headers.map(header);
    const [first] = headers;
    let place = { ...pinned, validators, votes: [], recent: [] };
    let rest = headers;
    let linked = true;
    const check = (one, hash) => must(one.number !== pinned.number || hash === pinned.hash, "contradicts the pinned block");
    if (first.number === pinned.number) {
        check(first, blockHash(first, rules.consensus));
        rest = headers.slice(1);
    } else if (first.number !== pinned.number + 1n) {
        must(first.number > 0n, "block 0 is not the pinned one");
        place = { ...place, number: first.number - 1n, hash: first.parentHash };
        linked = false;
    }
    const loose = !linked && rules.consensus === "clique";
    const places = [place];
    let stranger = null;
    for (const one of rest) {
        try {
            place = follow(place, one, rules);
        } catch (error) {
            if (!loose || !(error instanceof Stranger)) throw error;
            stranger ??= error;
            place = past(place, one, error.by);
        }
        check(one, place.hash);
        places.push(place);
    }
    const block = BigInt(told.block);
    const under = headers.find((one) => one.number === block);
    must(under !== undefined, "its block is not among its headers");
    const at = Number(block - places[0].number);
    let settles = true;
    if (rules.consensus === "clique" && at > 0) {
        const by = places.slice(at).map((one) => one.recent.at(-1).by);
        settles = loose ? vouched(validators, by) : settled(validators, places) >= at;
        if (stranger !== null && !settles) throw stranger;
    }
    return { under, linked, settles, after: headers.at(-1).number - block };
}

async function verified(path, pins) {
    try {
        const told = read(readFileSync(path));
        must(told.chainId === pins.chainId && told.contract === pins.contract.toLowerCase(), "another chain or contract");
        const run = followed(told, pins);
        const facts = { outcome: "proven", blockHash: blockHash(run.under, pins.consensus) };
        Object.assign(facts, { linked: run.linked, blocksAfter: Number(run.after) });
        if ("transaction" in told) facts.transaction = await transaction(told.transaction, run.under, pins);
        if ("state" in told) facts.state = await state(told.state, run.under, pins);
        if (!run.settles) facts.outcome = "unproven";
        return facts;
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return { outcome: "refused", why: error.message };
    }
}

async function judged([pinsFile, ...files]) {
    const pins = JSON.parse(readFileSync(pinsFile, "utf8"));
    if (!["qbft", "ibft2", "clique"].includes(pins.consensus)) throw new Error(`consensus is ${pins.consensus}`);
    let all = files.length > 0;
    for (const file of files) {
        const facts = await verified(file, pins);
        all &&= facts.outcome === "proven";
        console.log(JSON.stringify(facts));
    }
    return all;
}

if (process.argv.length > 2) process.exitCode = (await judged(process.argv.slice(2))) ? 0 : 1;
else for await (const line of createInterface({ input: process.stdin })) await judged(JSON.parse(line));
