// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {HouseholdSlot} from "./HouseholdSlot.sol";
import {MarketPaused, MarketState} from "./MarketState.sol";
import {Parameters, Settlement, SignedReading} from "./MarketTypes.sol";
import {Orders} from "./Orders.sol";
import {InvalidSignature, SignedReadings} from "./SignedReadings.sol";

/// @notice A report without a reading: its sender would pay for nothing.
error NoReadings();

/// @title A distribution company's energy market.
/// @notice Households report the registers of their two meters; what they produced becomes energy tokens.
/// @dev Packing of readings and slots: HouseholdSlot. Signatures: SignedReadings. Gas is the network's capacity, so
/// `report` and `reportSigned` touch two slots and each trick on their path says what it saves.
contract EnergyMarket is Orders, EIP712 {
    using HouseholdSlot for uint256;

    /// @notice A reading was booked.
    /// @param reading the packed reading, as HouseholdSlot lays it out
    event Reading(address indexed household, uint256 reading) anonymous;

    /// @dev All but the highest bit, where EIP-2098 keeps the parity.
    uint256 private constant S_MASK = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff;

    /// @param tokenName the energy token's name
    /// @param tokenSymbol the energy token's symbol
    /// @param admin grants and revokes roles
    /// @param registrationOffice enrols households
    /// @param distributionAgent sets parameters
    /// @param initial the parameters to begin with
    /// @param unit what money is called on screens
    constructor(
        string memory tokenName,
        string memory tokenSymbol,
        address admin,
        address registrationOffice,
        address distributionAgent,
        Parameters memory initial,
        Settlement memory unit
    )
        ERC20(tokenName, tokenSymbol)
        EIP712("EnergyMarket", "1")
        MarketState(admin, registrationOffice, distributionAgent, initial, unit)
    {}

    /// @notice Books the caller's readings, in order. All of them or, with the first that is wrong, none.
    /// @param readings packed readings
    function report(uint256[] calldata readings) external {
        uint256 ledger = _openLedger(readings.length);
        uint256 clock = _clock();
        uint256 before = HouseholdSlot.load(uint160(msg.sender));
        uint256 slot = before;
        uint256 cursor;
        uint256 end;
        assembly ("memory-safe") {
            cursor := readings.offset
            end := add(cursor, shl(5, readings.length))
        }
        do {
            uint256 reading;
            assembly ("memory-safe") {
                reading := calldataload(cursor)
                cursor := add(cursor, 0x20)
                // emit Reading(msg.sender, reading), in the scratch space: `emit` allocates memory
                mstore(0, reading)
                log1(0, 0x20, caller())
            }
            uint256 next = HouseholdSlot.advanceOrdinary(slot, reading, clock);
            // Not a balance that a stranger could shift: 0 is advanceOrdinary's "no".
            // slither-disable-next-line incorrect-equality
            slot = next == 0 ? _advance(msg.sender, slot, reading) : next;
        } while (cursor < end);
        HouseholdSlot.store(uint160(msg.sender), slot);
        uint256 minted = slot.tokens() - before.tokens();
        if (minted != 0) {
            _closeLedger(ledger, minted);
            emit Transfer(address(0), msg.sender, minted);
        }
    }

    /// @notice Books readings of any households, each signed by its own; anyone may carry them. All of them or none.
    /// @dev An access list that names the households' slots saves the carrier 100 gas a reading.
    /// @param readings packed readings with their signatures
    function reportSigned(SignedReading[] calldata readings) external {
        uint256 ledger = _openLedger(readings.length);
        uint256 clock = _clock();
        SignedReadings.prepare(_domainSeparatorV4());
        bytes32 transfer = Transfer.selector;
        uint256 cursor;
        uint256 end;
        uint256 total = 0;
        // Declared here and not in the loop: 20 gas a reading.
        uint256 signer;
        uint256 reading;
        uint256 slot;
        uint256 next;
        assembly ("memory-safe") {
            cursor := readings.offset
            end := add(cursor, mul(0x60, readings.length))
        }
        do {
            assembly {
                reading := calldataload(cursor)
                mstore(0x120, reading)
                mstore(0x180, keccak256(0x100, 0x40))
                mstore(0x80, keccak256(0x15e, 0x42))
                mstore(0xc0, calldataload(add(cursor, 0x20)))
                let vs := calldataload(add(cursor, 0x40))
                mstore(0xa0, add(27, shr(255, vs)))
                mstore(0xe0, and(vs, S_MASK))
                pop(staticcall(gas(), 1, 0x80, 0x80, 0x80, 0x20))
                // The precompile answers nothing at all when it cannot recover: then this reads the zero before its place.
                signer := mload(add(0x60, returndatasize()))
                cursor := add(cursor, 0x60)
            }
            slot = HouseholdSlot.load(signer);
            next = HouseholdSlot.advanceOrdinary(slot, reading, clock);
            // Not a balance that a stranger could shift: 0 is advanceOrdinary's "no".
            // slither-disable-next-line incorrect-equality
            if (next == 0) {
                if (signer == 0) revert InvalidSignature(reading);
                next = _advance(address(uint160(signer)), slot, reading);
            }
            HouseholdSlot.store(signer, next);
            assembly ("memory-safe") {
                // emit Reading(signer, reading), which lies where it was hashed
                log1(0x120, 0x20, signer)
                let minted := sub(shr(216, next), shr(216, slot))
                if minted {
                    // emit Transfer(address(0), signer, minted)
                    mstore(0, minted)
                    log3(0, 0x20, transfer, 0, signer)
                    total := add(total, minted)
                }
            }
        } while (cursor < end);
        if (total != 0) _closeLedger(ledger, total);
    }

    /// @notice What a household signs for a reading under EIP-712.
    /// @dev Deliberately not the code that `reportSigned` runs: a test compares the two.
    function readingDigest(uint256 reading) external view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SignedReadings.TYPE_HASH, reading)));
    }

    /// @dev The latest `takenAt` accepted, at its place in a reading, and ones below it.
    function _clock() private view returns (uint256) {
        unchecked {
            return ((block.timestamp + CLOCK_TOLERANCE_S) << 80) | ((1 << 80) - 1);
        }
    }

    /// @dev The long way. What it needs is asked anew: carrying it along would cost the ordinary readings more.
    function _advance(address account, uint256 slot, uint256 reading) private view returns (uint256) {
        return HouseholdSlot.advance(
            account, slot, reading, block.timestamp + CLOCK_TOLERANCE_S, _ledger.reportingPeriodS / 2
        );
    }

    /// @dev The ledger's word. It is read once and written once: through its fields that would be 300 gas more.
    function _openLedger(uint256 count) private view returns (uint256 word) {
        if (count == 0) revert NoReadings();
        Ledger storage ledger = _ledger;
        assembly ("memory-safe") {
            word := sload(ledger.slot)
        }
        if (word >> 64 & 0xff != 0) revert MarketPaused();
    }

    /// @dev Adds what was produced to the supply, the lowest field: no sum of slots' tokens reaches its 2^64.
    function _closeLedger(uint256 word, uint256 minted) private {
        Ledger storage ledger = _ledger;
        assembly ("memory-safe") {
            sstore(ledger.slot, add(word, minted))
        }
    }
}
