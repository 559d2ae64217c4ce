// Compiles EnergyMarket and writes artifacts/EnergyMarket.json; with --check, compares instead and exits with 1 on a
// difference. The result is a function of src/, the pinned packages and SETTINGS alone: no time, no path, no host.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ARTIFACT = join(HERE, "artifacts", "EnergyMarket.json");
const CONTRACT = "EnergyMarket";
const SOURCE = "src/EnergyMarket.sol";
// Declare the slots that the market packs by hand, so that the compiler tells their layout.
const HOUSEHOLDS = "HouseholdLayout";
const ORDERS = "OrderLayout";
// foundry.toml says the same to forge, and why; a test compares the two.
const SETTINGS = {
  evmVersion: "paris",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 20000 },
  remappings: ["@openzeppelin/=node_modules/@openzeppelin/"],
  viaIR: false,
};

function read(path) {
  return readFileSync(join(HERE, path), "utf8");
}

function compile() {
  let compiler;
  try {
    compiler = createRequire(import.meta.url)("solc");
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    fail("The compiler is missing: run `npm ci --prefix contracts` first.");
  }
  const used = new Map();
  const sources = {};
  for (const name of readdirSync(join(HERE, "src")).sort()) {
    used.set(`src/${name}`, read(`src/${name}`));
    sources[`src/${name}`] = { content: used.get(`src/${name}`) };
  }
  const outputSelection = {
    [SOURCE]: { [CONTRACT]: ["abi", "evm.bytecode", "evm.deployedBytecode", "storageLayout"] },
    ...Object.fromEntries([HOUSEHOLDS, ORDERS].map((name) => [`src/${name}.sol`, { [name]: ["storageLayout"] }])),
  };
  const input = { language: "Solidity", sources, settings: { ...SETTINGS, outputSelection } };
  const output = JSON.parse(
    compiler.compile(JSON.stringify(input), {
      import(path) {
        if (!existsSync(join(HERE, path))) return { error: `no such file: contracts/${path}` };
        used.set(path, read(path));
        return { contents: used.get(path) };
      },
    }),
  );
  if (output.errors?.length) fail(output.errors.map((e) => e.formattedMessage).join("\n"));
  const { abi, evm, storageLayout } = output.contracts[SOURCE][CONTRACT];
  return {
    contractName: CONTRACT,
    sourceName: SOURCE,
    compiler: { version: compiler.version(), settings: SETTINGS },
    sources: Object.fromEntries(
      [...used].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, text]) => [path, `sha256:${sha256(text)}`]),
    ),
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    immutableReferences: byPosition(evm.deployedBytecode.immutableReferences),
    storageLayout: plain(storageLayout),
    householdSlot: declared(output, HOUSEHOLDS),
    orderSlot: declared(output, ORDERS),
  };
}

function sha256(text) {
  return createHash("sha256").update(text).digest("hex");
}

// The compiler names immutables and types by the numbers of its syntax tree, which change with unrelated sources.
function byPosition(references) {
  return Object.values(references).sort((a, b) => a[0].start - b[0].start);
}

function plain(layout) {
  return layout.storage.map(({ label, offset, slot, type }) => ({
    label,
    offset,
    slot: Number(slot),
    type: layout.types[type].label,
    bytes: Number(layout.types[type].numberOfBytes),
  }));
}

// The key of account 0's first slot, how many an account has, and of each field its lowest bit and how many it has.
function declared(output, name) {
  const { storage, types } = output.contracts[`src/${name}.sol`][name].storageLayout;
  const all = types[storage[0].type];
  const { members, numberOfBytes } = all.base ? types[all.base] : all;
  if (storage.length !== 1 || Number(numberOfBytes) !== 32) fail(`src/${name}.sol declares more than slots of one form.`);
  return {
    base: `0x${BigInt(storage[0].slot).toString(16)}`,
    places: Number(all.numberOfBytes) / 32,
    fields: members.map((member) => ({
      label: member.label,
      offset: 8 * member.offset,
      bits: 8 * Number(types[member.type].numberOfBytes),
    })),
  };
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const unknown = process.argv.slice(2).filter((argument) => argument !== "--check");
if (unknown.length) fail(`Unknown argument ${unknown[0]}: the only one is --check.`);
const artifact = compile();
const text = `${JSON.stringify(artifact, null, 2)}\n`;
const size = artifact.deployedBytecode.length / 2 - 1;
if (!process.argv.includes("--check")) {
  writeFileSync(ARTIFACT, text);
  console.log(`artifacts/EnergyMarket.json written: ${size} bytes of runtime code.`);
} else if (!existsSync(ARTIFACT)) {
  fail("artifacts/EnergyMarket.json is missing: run `node contracts/build.mjs` and commit it.");
} else if (readFileSync(ARTIFACT, "utf8") !== text) {
  const stored = JSON.parse(readFileSync(ARTIFACT, "utf8"));
  const parts = Object.keys(artifact).filter((key) => JSON.stringify(stored[key]) !== JSON.stringify(artifact[key]));
  fail(
    `artifacts/EnergyMarket.json is not what the sources compile to; different: ${parts.join(", ") || "formatting"}.\n` +
      "Run `node contracts/build.mjs` and commit the result.",
  );
} else {
  console.log(`artifacts/EnergyMarket.json is what the sources compile to (${size} bytes of runtime code).`);
}
