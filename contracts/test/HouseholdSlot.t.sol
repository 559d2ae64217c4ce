// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HOUSEHOLD_SLOTS, HouseholdLayout} from "../src/HouseholdLayout.sol";
import {HouseholdSlot, TokensExceedSlot} from "../src/HouseholdSlot.sol";
import {MarketTest} from "./Vm.sol";

/// @dev The library's functions, callable so that a revert can be caught.
contract SlotHarness {
    function ordinary(uint256 slot, uint256 word, uint256 clock) external pure returns (uint256) {
        return HouseholdSlot.advanceOrdinary(slot, word, clock);
    }

    function stepwise(uint256 slot, uint256 word, uint256 latest) external pure returns (uint256) {
        return HouseholdSlot.advance(address(1), slot, word, latest, 450);
    }

    function loaded(uint256 account) external view returns (uint256) {
        return HouseholdSlot.load(account);
    }

    function repack(uint256 slot) external pure returns (uint256) {
        return HouseholdSlot.pack(address(1), HouseholdSlot.unpack(slot));
    }
}

/// @dev What the compiler's accessor of the declared slot returns: the same nine fields.
interface Declared {
    function household() external view returns (HouseholdSlot.Fields memory);
}

contract HouseholdSlotTest is MarketTest {
    SlotHarness private harness;

    function setUp() public override {
        harness = new SlotHarness();
    }

    function testFuzz_fields_of_a_slot_come_back(uint256 slot) public view {
        equal(slot, harness.repack(slot), "slot");
    }

    /// What is packed by hand lies where the compiler lays the declared fields: for any bits at all.
    function testFuzz_fields_lie_where_the_compiler_lays_them(uint256 slot) public {
        HouseholdLayout declared = new HouseholdLayout();
        vm.store(address(declared), bytes32(HOUSEHOLD_SLOTS), bytes32(slot));
        HouseholdSlot.Fields memory got = Declared(address(declared)).household();
        check(
            keccak256(abi.encode(got)) == keccak256(abi.encode(HouseholdSlot.unpack(slot))),
            "a field lies elsewhere than it is declared"
        );
    }

    /// The key that the library uses is that of the declared slot and the account.
    function testFuzz_a_slot_has_its_accounts_key(uint160 account, uint256 slot) public {
        vm.store(address(harness), bytes32(HOUSEHOLD_SLOTS + account), bytes32(slot));
        equal(slot, harness.loaded(account), "slot");
    }

    /// What the word arithmetic accepts, the stepwise check accepts with the same result: for any bits at all.
    function testFuzz_ordinary_agrees_on_any_words(uint256 slot, uint256 word, uint32 latest) public view {
        compare(slot, word, latest);
    }

    /// The same near the edges: small differences of each field, either sign, carries and borrows included.
    function testFuzz_ordinary_agrees_near_the_edges(uint256 slot, uint256 seed) public view {
        uint256 word = slot & ((1 << 144) - 1);
        slot &= ~(uint256((1 << 48) - 1) << 144); // nothing held, as mostly
        uint8[5] memory places = [0, 40, 80, 112, 136];
        for (uint256 i = 0; i < 5; ++i) {
            uint256 nudge = (seed >> (i * 20)) % 5;
            unchecked {
                word += (nudge << places[i]) - (2 << places[i]);
            }
        }
        word &= (1 << 144) - 1;
        compare(slot, word | (((seed >> 120) % 9) << 144), uint32(seed >> 200));
    }

    /// Readings that must mostly be good: the cheap path must take them, or it saves nothing.
    function testFuzz_ordinary_readings_are_ordinary(uint256 seed) public view {
        uint256 slot = pack(seed % 255, 7, START, seed % 1e9, seed % 1e8) | (uint256(RATED_W) << 192);
        uint256 word = pack(
            seed % 255, 8, START + 900, seed % 1e9 + (seed >> 200) % 1024, seed % 1e8 + (seed >> 190) % 1024
        );
        if (seed & 1 == 1) word = flagged(word, HouseholdSlot.LATE);
        uint256 next = harness.ordinary(slot, word, clock(START + 900));
        check(next != 0, "took the long way");
        equal(harness.stepwise(slot, word, START + 900), next, "slot");
    }

    /// A field that wraps gains little by subtraction alone: only the borrow into the next one tells.
    function test_wrapped_fields_are_not_ordinary() public view {
        uint256 most = (1 << 40) - 1;
        uint256 rated = (1 << 24) - 1;
        uint256 slot = pack(1, 1, START, 5, most) | (rated << 192);
        equal(0, harness.ordinary(slot, pack(1, 2, START + 900, 6, 1), clock(START + 900)), "consumed");
        slot = pack(1, 1, START, most, 5) | (rated << 192);
        equal(0, harness.ordinary(slot, pack(1, 2, START + 900, 1, 6), clock(START + 900)), "produced");
        slot = pack(1, 1, START, 5, 5) | (rated << 192);
        equal(0, harness.ordinary(slot, pack(1, 3, START - 900, 5, 5), clock(START + 900)), "takenAt");
        slot = pack(1, (1 << 24) - 2, START, 5, 5) | (rated << 192);
        equal(0, harness.ordinary(slot, pack(2, 2, START + 900, 5, 5), clock(START + 900)), "sequence");
    }

    /// After the highest sequence comes the office's next epoch: a household must not open one by itself.
    function test_sequence_that_is_used_up_opens_no_epoch() public view {
        uint256 most = (1 << 24) - 1;
        uint256 slot = pack(1, most, START, 5, 5) | (uint256(RATED_W) << 192);
        equal(0, harness.ordinary(slot, pack(2, 0, START + 900, 6, 6), clock(START + 900)), "next epoch");
        equal(0, harness.ordinary(slot, pack(2, 7, START + 900, 6, 6), clock(START + 900)), "further on");
        equal(0, harness.ordinary(slot, pack(1, 1, START + 900, 6, 6), clock(START + 900)), "from the start");
        slot = pack(255, most, START, 5, 5) | (uint256(RATED_W) << 192);
        uint256 word = flagged(pack(0, 0, START + 900, 6, 6), HouseholdSlot.PRODUCTION_HELD);
        equal(0, harness.ordinary(slot, word, clock(START + 900)), "carried into the flags");
    }

    function test_full_slot_refuses_more_tokens() public {
        uint256 limit = (1 << 40) - 1;
        uint256 slot = pack(1, 1, START, 0, 0) | (uint256(RATED_W) << 192) | (limit << 216);
        uint256 word = pack(1, 2, START + 900, 1, 0);
        equal(0, harness.ordinary(slot, word, clock(START + 900)), "not ordinary");
        vm.expectRevert(abi.encodeWithSelector(TokensExceedSlot.selector, address(1), limit, limit + 1));
        harness.stepwise(slot, word, START + 900);
    }

    function test_held_seconds_stop_at_their_field() public view {
        uint256 slot = pack(1, 1, 1, 5, 5) | (uint256(RATED_W) << 192);
        uint256 word = flagged(pack(1, 2, START, 5, 5), HouseholdSlot.PRODUCTION_HELD);
        equal((1 << 24) - 1, (harness.stepwise(slot, word, START) >> 144) & 0xffffff, "held");
    }

    function clock(uint256 latest) private pure returns (uint256) {
        return (latest << 80) | ((1 << 80) - 1);
    }

    function compare(uint256 slot, uint256 word, uint32 latest) private view {
        uint256 next = harness.ordinary(slot, word, clock(latest));
        if (next != 0) equal(harness.stepwise(slot, word, latest), next, "slot");
    }
}
