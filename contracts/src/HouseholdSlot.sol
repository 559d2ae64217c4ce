// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HOUSEHOLD_SLOTS} from "./HouseholdLayout.sol";
import {Meter} from "./MarketTypes.sol";

/// @notice The household has never been enrolled, or is suspended.
error HouseholdNotActive(address household);
/// @notice The reading is of another epoch: a meter was replaced or reset in between.
error UnexpectedEpoch(address household, uint256 expected, uint256 got);
/// @notice A replay, or a reading that comes after its successor.
error SequenceNotRising(address household, uint256 last, uint256 got);
/// @notice The reading was taken no later than the one before it.
error TimeNotRising(address household, uint256 last, uint256 got);
/// @notice The reading says it was taken later than the chain's clock allows.
error TakenInFuture(address household, uint256 latest, uint256 got);
/// @notice A register is lower than the last one: within an epoch registers never fall.
error RegisterFell(address household, Meter meter, uint256 lastWh, uint256 gotWh);
/// @notice A meter that did not answer repeats its last register; this one does not.
error HeldRegisterMoved(address household, Meter meter, uint256 lastWh, uint256 gotWh);
/// @notice More energy than the household's connection can carry in that time.
error ImpossibleEnergy(address household, Meter meter, uint256 allowedWh, uint256 gotWh);
/// @notice Bits above the three known flags are set.
error UnknownFlags(address household, uint256 flags);
/// @notice An account cannot hold more tokens than its slot has room for.
error TokensExceedSlot(address account, uint256 limitWh, uint256 gotWh);

/// @title The one storage slot that a household's report touches.
/// @notice A reading is a word of 152 bits. A household's slot repeats its first five fields at the same places, so
/// booking a reading is one masked copy, and one storage proof shows the last reading.
///
/// | bits    | reading    | slot              |
/// |---------|------------|-------------------|
/// | 0..39   | consumedWh | consumedWh        |
/// | 40..79  | producedWh | producedWh        |
/// | 80..111 | takenAt    | takenAt           |
/// | 112..135| sequence   | sequence          |
/// | 136..143| epoch      | epoch             |
/// | 144..151| flags      | productionHeldS   |
/// | ..167   | 0          | (24 bits)         |
/// | 168..191| 0          | consumptionHeldS  |
/// | 192..215| 0          | ratedPowerW       |
/// | 216..255| 0          | tokens (Wh)       |
///
/// `ratedPowerW` is 0 unless the household is active. An account that is not enrolled may hold tokens; its other fields
/// are 0. `...HeldS` counts the seconds for which a meter has not answered.
/// @dev The slot's key is 2^160 + account, not a mapping's hash: 60 gas cheaper, no collision with the low keys that the
/// compiler assigns nor (short of breaking Keccak) with hashed ones, and a light node can tell it without hashing.
library HouseholdSlot {
    uint256 internal constant PRODUCTION_HELD = 1;
    uint256 internal constant CONSUMPTION_HELD = 2;
    uint256 internal constant LATE = 4;

    /// @dev A meter's own error and a short overload: a tenth.
    uint256 internal constant OVERLOAD_TENTHS = 11;
    /// @dev A float32 register in kWh steps by 62.5 Wh at the end of its range. Granted once in half a period, not with each
    /// reading: else a household that reports each second would be granted 230 kW.
    uint256 internal constant TOLERANCE_WH = 64;
    /// @dev Both sides of the plausibility check are in tenths of a watt-second.
    uint256 internal constant TENTH_WS_PER_WH = 36_000;

    uint256 private constant M24 = 0xffffff;
    uint256 private constant M32 = 0xffffffff;
    uint256 private constant M40 = 0xffffffffff;
    /// @dev Bits 0..143: the fields that a reading and a slot share.
    uint256 private constant SHARED = 0xffffffffffffffffffffffffffffffffffff;
    /// @dev One second and one sequence.
    uint256 private constant NEXT = 0x10000000100000000000000000000;
    /// @dev The lowest bits of producedWh, takenAt, sequence and epoch, and the two above the epoch: there it shows that
    /// `base` was carried beyond the reading's epoch.
    uint256 private constant BORROWS = 0x3010000010000000100000000010000000000;
    /// @dev Bits 0..135: all below the epoch.
    uint256 private constant SAME_EPOCH = 0xffffffffffffffffffffffffffffffffff;
    /// @dev Bits 0..111: takenAt and all below it.
    uint256 private constant UP_TO_TIME = 0xffffffffffffffffffffffffffff;
    /// @dev Bits 144..191: the slot's held seconds.
    uint256 private constant HELD = 0xffffffffffff000000000000000000000000000000000000;

    /// @dev All but the flag LATE: a late reading is booked like any other.
    uint256 private constant NOT_LATE = 0xfffffffffffffffffffffffffffbffffffffffffffffffffffffffffffffffff;

    /// @notice Reads an account's slot.
    /// @param account the address as a number: cleaning its upper bits costs 20 gas each time
    function load(uint256 account) internal view returns (uint256 slot) {
        assembly ("memory-safe") {
            slot := sload(or(HOUSEHOLD_SLOTS, account))
        }
    }

    /// @notice Writes an account's slot.
    function store(uint256 account, uint256 slot) internal {
        assembly ("memory-safe") {
            sstore(or(HOUSEHOLD_SLOTS, account), slot)
        }
    }

    /// @notice A slot, or a reading, field by field.
    struct Fields {
        uint256 consumedWh;
        uint256 producedWh;
        uint256 takenAt;
        uint256 sequence;
        uint256 epoch;
        uint256 productionHeldS;
        uint256 consumptionHeldS;
        uint256 ratedPowerW;
        uint256 tokens;
    }

    /// @notice A slot's fields; of a reading, only the first five mean anything.
    function unpack(uint256 word) internal pure returns (Fields memory) {
        return Fields({
            consumedWh: consumedWh(word),
            producedWh: (word >> 40) & M40,
            takenAt: (word >> 80) & M32,
            sequence: (word >> 112) & M24,
            epoch: (word >> 136) & 0xff,
            productionHeldS: (word >> 144) & M24,
            consumptionHeldS: (word >> 168) & M24,
            ratedPowerW: ratedPowerW(word),
            tokens: tokens(word)
        });
    }

    /// @notice Makes a slot of its fields.
    /// @dev Only the tokens are checked: every other value comes from a field or a parameter of its width.
    function pack(address account, Fields memory fields) internal pure returns (uint256 slot) {
        slot =
            fields.consumedWh | (fields.producedWh << 40) | (fields.takenAt << 80) | (fields.sequence << 112);
        slot |= (fields.epoch << 136) | (fields.productionHeldS << 144) | (fields.consumptionHeldS << 168);
        slot |= fields.ratedPowerW << 192;
        return withTokens(account, slot, fields.tokens);
    }

    /// @notice The tokens in a slot, in Wh.
    function tokens(uint256 slot) internal pure returns (uint256) {
        return slot >> 216;
    }

    /// @notice The consumption register in a slot, in Wh.
    function consumedWh(uint256 slot) internal pure returns (uint256) {
        return slot & M40;
    }

    /// @notice The rated power in a slot, in W: 0 unless the household is active.
    function ratedPowerW(uint256 slot) internal pure returns (uint256) {
        return (slot >> 192) & M24;
    }

    /// @notice The slot with another amount of tokens.
    function withTokens(address account, uint256 slot, uint256 amount) internal pure returns (uint256) {
        if (amount > M40) revert TokensExceedSlot(account, M40, amount);
        return (slot & ((1 << 216) - 1)) | (amount << 216);
    }

    /// @notice Books an ordinary reading: registers, time and sequence are replaced, and what was produced becomes tokens.
    /// @dev Ordinary is a reading without held meters, now or before, well within the rating, of which nothing
    /// fell. That takes word arithmetic only, about 900 gas less than `advance`. It may find a good reading not ordinary,
    /// but never a bad one ordinary: a fuzz test holds the two against each other.
    /// @param slot the household's slot
    /// @param reading the packed reading
    /// @param clock the latest `takenAt` accepted, at its place in a reading, and ones below it
    /// @return next the slot after the reading; 0 if the reading is not ordinary
    function advanceOrdinary(uint256 slot, uint256 reading, uint256 clock)
        internal
        pure
        returns (uint256 next)
    {
        assembly ("memory-safe") {
            // The lowest reading that may follow: one second and one sequence later. One subtraction then gives all
            // gains at once, unless a field fell short and borrowed from the next, which flips that one's lowest bit.
            let low := and(slot, SHARED)
            let base := add(low, NEXT)
            let timely := and(reading, NOT_LATE)
            let gain := sub(timely, base)
            let produced := shr(40, gain)
            next := add(add(add(slot, gain), NEXT), shl(216, produced))
            next := mul(
                next,
                iszero(
                    or(
                        or(
                            // Something fell; or another epoch, a flag, a bit that means nothing.
                            // The epoch is compared with `low`: after the highest sequence `base` is in the next one.
                            or(and(xor(xor(timely, base), gain), BORROWS), gt(xor(timely, low), SAME_EPOCH)),
                            // A meter was held before; or taken later than now.
                            or(and(slot, HELD), gt(and(reading, UP_TO_TIME), clock))
                        ),
                        or(
                            // The larger gain of the two registers is at most their OR. Rated 0 carries nothing.
                            iszero(
                                lt(
                                    mul(and(or(gain, produced), M40), 3600),
                                    mul(and(shr(192, slot), M24), and(shr(80, gain), M32))
                                )
                            ),
                            // The tokens are the highest field: too many of them wrap the word.
                            lt(next, slot)
                        )
                    )
                )
            )
        }
    }

    /// @notice Books any reading, one check after the other, each with its own error.
    /// @param household whose slot it is
    /// @param slot the household's slot
    /// @param reading the packed reading
    /// @param latest the latest `takenAt` accepted
    /// @param tolerantS how long a register was not read, at least, before `TOLERANCE_WH` is granted
    /// @return the slot after the reading
    function advance(address household, uint256 slot, uint256 reading, uint256 latest, uint256 tolerantS)
        internal
        pure
        returns (uint256)
    {
        Fields memory last = unpack(slot);
        Fields memory got = unpack(reading);
        uint256 flags = reading >> 144;
        if (last.ratedPowerW == 0) revert HouseholdNotActive(household);
        if (flags > (PRODUCTION_HELD | CONSUMPTION_HELD | LATE)) revert UnknownFlags(household, flags);
        if (got.epoch != last.epoch) revert UnexpectedEpoch(household, last.epoch, got.epoch);
        if (got.sequence <= last.sequence) revert SequenceNotRising(household, last.sequence, got.sequence);
        if (got.takenAt <= last.takenAt) revert TimeNotRising(household, last.takenAt, got.takenAt);
        if (got.takenAt > latest) revert TakenInFuture(household, latest, got.takenAt);

        got.ratedPowerW = last.ratedPowerW;
        uint256 elapsed = got.takenAt - last.takenAt;
        got.productionHeldS = bookRegister(
            Register(
                household, Meter.PRODUCTION, last.producedWh, got.producedWh, last.productionHeldS + elapsed
            ),
            last.ratedPowerW,
            tolerantS,
            flags & PRODUCTION_HELD != 0
        );
        got.consumptionHeldS = bookRegister(
            Register(
                household, Meter.CONSUMPTION, last.consumedWh, got.consumedWh, last.consumptionHeldS + elapsed
            ),
            last.ratedPowerW,
            tolerantS,
            flags & CONSUMPTION_HELD != 0
        );
        got.tokens = last.tokens + got.producedWh - last.producedWh;
        return pack(household, got);
    }

    /// @notice What one register did since it was last read.
    /// @param unreadS for how long it was not read
    struct Register {
        address household;
        Meter meter;
        uint256 lastWh;
        uint256 gotWh;
        uint256 unreadS;
    }

    /// @notice Judges one register and returns for how long it is held now.
    function bookRegister(Register memory register, uint256 ratedW, uint256 tolerantS, bool held)
        private
        pure
        returns (uint256)
    {
        requirePlausible(register, ratedW, register.unreadS < tolerantS ? 0 : TOLERANCE_WH);
        if (!held) return 0;
        if (register.gotWh != register.lastWh) {
            revert HeldRegisterMoved(register.household, register.meter, register.lastWh, register.gotWh);
        }
        return saturate(register.unreadS);
    }

    /// @notice Reverts if a register fell, or rose by more than the connection can carry.
    function requirePlausible(Register memory register, uint256 ratedW, uint256 toleranceWh) internal pure {
        if (register.gotWh < register.lastWh) {
            revert RegisterFell(register.household, register.meter, register.lastWh, register.gotWh);
        }
        uint256 gainWh = register.gotWh - register.lastWh;
        uint256 allowed = ratedW * register.unreadS * OVERLOAD_TENTHS + toleranceWh * TENTH_WS_PER_WH;
        if (gainWh * TENTH_WS_PER_WH > allowed) {
            revert ImpossibleEnergy(register.household, register.meter, allowed / TENTH_WS_PER_WH, gainWh);
        }
    }

    /// @notice Held seconds, as many as their field can say (194 days).
    function saturate(uint256 heldS) internal pure returns (uint256) {
        return heldS > M24 ? M24 : heldS;
    }
}
