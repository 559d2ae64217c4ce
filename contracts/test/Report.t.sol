// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NoReadings} from "../src/EnergyMarket.sol";
import {
    HeldRegisterMoved,
    HouseholdNotActive,
    HouseholdSlot,
    ImpossibleEnergy,
    RegisterFell,
    SequenceNotRising,
    TakenInFuture,
    TimeNotRising,
    UnexpectedEpoch,
    UnknownFlags
} from "../src/HouseholdSlot.sol";
import {MarketPaused} from "../src/MarketState.sol";
import {Household, Meter, SignedReading} from "../src/MarketTypes.sol";
import {InvalidSignature} from "../src/SignedReadings.sol";
import {MarketTest, Vm} from "./Vm.sol";

contract ReportTest is MarketTest {
    uint256 private constant KEY = 0xA11CE;
    address private home;

    function setUp() public override {
        super.setUp();
        home = vm.addr(KEY);
        enrol(home);
        vm.warp(START + 30 days);
    }

    function test_reading_books_both_registers_and_mints_what_was_produced() public {
        report(home, reading(1, 700, 300));
        Household memory h = market.household(home);
        equal(1, h.sequence, "sequence");
        equal(START + 900, h.takenAt, "takenAt");
        equal(FIRST_PRODUCED + 700, h.producedWh, "produced");
        equal(FIRST_CONSUMED + 300, h.consumedWh, "consumed");
        equal(700, market.balanceOf(home), "tokens");
        equal(700, market.totalSupply(), "supply");
    }

    function test_slot_is_at_two_to_the_160_plus_account() public {
        report(home, reading(1, 700, 300));
        uint256 slot = uint256(vm.load(address(market), bytes32((1 << 160) + uint256(uint160(home)))));
        equal(reading(1, 700, 300) | (uint256(RATED_W) << 192) | (700 << 216), slot, "slot");
    }

    function test_backlog_emits_every_reading_and_one_transfer() public {
        uint256[] memory words = new uint256[](3);
        for (uint256 i = 0; i < 3; ++i) {
            words[i] = reading(i + 1, 100 * (i + 1), 10 * (i + 1));
        }
        vm.recordLogs();
        vm.prank(home);
        market.report(words);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(4, logs.length, "logs");
        for (uint256 i = 0; i < 3; ++i) {
            equal(1, logs[i].topics.length, "an anonymous event with one topic");
            equal(uint160(home), uint256(logs[i].topics[0]), "household");
            equal(words[i], abi.decode(logs[i].data, (uint256)), "reading");
        }
        requireMint(logs[3], 300);
        equal(300, market.balanceOf(home), "tokens");
    }

    function test_signed_readings_emit_the_same() public {
        SignedReading[] memory signed = new SignedReading[](2);
        signed[0] = sign(KEY, reading(1, 700, 300));
        signed[1] = sign(KEY, flagged(reading(2, 701, 301), HouseholdSlot.LATE));
        vm.recordLogs();
        market.reportSigned(signed);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(4, logs.length, "logs");
        equal(uint160(home), uint256(logs[0].topics[0]), "household");
        equal(signed[0].reading, abi.decode(logs[0].data, (uint256)), "first reading");
        requireMint(logs[1], 700);
        equal(signed[1].reading, abi.decode(logs[2].data, (uint256)), "second reading");
        requireMint(logs[3], 1);
        equal(701, market.totalSupply(), "supply");
    }

    function test_signed_readings_after_one_that_was_not_ordinary() public {
        SignedReading[] memory signed = new SignedReading[](3);
        signed[0] = sign(KEY, flagged(reading(1, 0, 300), HouseholdSlot.PRODUCTION_HELD));
        signed[1] = sign(KEY, reading(2, 701, 301));
        signed[2] = sign(KEY, reading(3, 702, 302));
        market.reportSigned(signed);
        equal(702, market.totalSupply(), "supply");
    }

    function test_nothing_produced_mints_and_transfers_nothing() public {
        vm.recordLogs();
        report(home, reading(1, 0, 300));
        equal(1, vm.getRecordedLogs().length, "logs");
        equal(0, market.totalSupply(), "supply");
    }

    function test_replay_is_refused() public {
        report(home, reading(1, 700, 300));
        refuse(home, reading(1, 700, 300), abi.encodeWithSelector(SequenceNotRising.selector, home, 1, 1));
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = sign(KEY, reading(1, 700, 300));
        vm.expectRevert(abi.encodeWithSelector(SequenceNotRising.selector, home, 1, 1));
        market.reportSigned(signed);
    }

    function test_each_impossible_reading_has_its_error() public {
        report(home, reading(1, 700, 300));
        uint256 t = START + 1800;
        uint256 p = FIRST_PRODUCED + 700;
        uint256 c = FIRST_CONSUMED + 300;
        refuse(home, pack(2, 2, t, p, c), abi.encodeWithSelector(UnexpectedEpoch.selector, home, 1, 2));
        refuse(home, pack(0, 2, t, p, c), abi.encodeWithSelector(UnexpectedEpoch.selector, home, 1, 0));
        refuse(home, pack(2, 0, t, p, c), abi.encodeWithSelector(UnexpectedEpoch.selector, home, 1, 2));
        refuse(home, pack(1, 0, t, p, c), abi.encodeWithSelector(SequenceNotRising.selector, home, 1, 0));
        refuse(
            home,
            pack(1, 2, t - 900, p, c),
            abi.encodeWithSelector(TimeNotRising.selector, home, t - 900, t - 900)
        );
        refuse(
            home,
            pack(1, 2, t, p - 1, c),
            abi.encodeWithSelector(RegisterFell.selector, home, Meter.PRODUCTION, p, p - 1)
        );
        refuse(
            home,
            pack(1, 2, t, p, c - 1),
            abi.encodeWithSelector(RegisterFell.selector, home, Meter.CONSUMPTION, c, c - 1)
        );
        refuse(home, flagged(pack(1, 2, t, p, c), 8), abi.encodeWithSelector(UnknownFlags.selector, home, 8));
        refuse(
            home,
            pack(1, 2, t, p, c) | (1 << 255),
            abi.encodeWithSelector(UnknownFlags.selector, home, 1 << 111)
        );
    }

    function test_energy_is_bounded_by_the_rating() public {
        uint256 most = MOST_IN_900_S;
        refuse(
            home,
            reading(1, most + 1, 0),
            abi.encodeWithSelector(ImpossibleEnergy.selector, home, Meter.PRODUCTION, most, most + 1)
        );
        refuse(
            home,
            reading(1, 0, most + 1),
            abi.encodeWithSelector(ImpossibleEnergy.selector, home, Meter.CONSUMPTION, most, most + 1)
        );
        report(home, reading(1, most, most));
        equal(most, market.balanceOf(home), "tokens");
    }

    /// The tolerance is for a coarse register, not for each reading: 3600 readings an hour would add up to 230 kW.
    function test_readings_in_haste_are_granted_no_tolerance() public {
        report(home, reading(1, 0, 0));
        uint256 carriedWh = uint256(RATED_W) * 449 * 11 / 36_000;
        bytes memory why = abi.encodeWithSelector(
            ImpossibleEnergy.selector, home, Meter.PRODUCTION, carriedWh, carriedWh + 1
        );
        refuse(home, pack(1, 2, START + 1349, FIRST_PRODUCED + carriedWh + 1, FIRST_CONSUMED), why);
        report(home, pack(1, 2, START + 1349, FIRST_PRODUCED + carriedWh, FIRST_CONSUMED));
    }

    function test_clock_may_be_a_minute_ahead() public {
        vm.warp(START + 900 - 61);
        refuse(
            home,
            reading(1, 1, 1),
            abi.encodeWithSelector(TakenInFuture.selector, home, START + 899, START + 900)
        );
        vm.warp(START + 900 - 60);
        report(home, reading(1, 1, 1));
    }

    function test_held_meter_may_catch_up_later() public {
        report(home, flagged(reading(1, 0, 10), HouseholdSlot.PRODUCTION_HELD));
        report(home, flagged(reading(2, 0, 20), HouseholdSlot.PRODUCTION_HELD));
        equal(1800, market.household(home).productionHeldS, "held");
        report(home, reading(3, 3 * 1375, 30)); // three intervals' energy at once, without the tolerance
        Household memory h = market.household(home);
        equal(0, h.productionHeldS, "held");
        equal(0, h.consumptionHeldS, "never held");
        equal(3 * 1375, h.tokensWh, "tokens");
    }

    function test_held_register_may_not_move() public {
        bytes memory why = abi.encodeWithSelector(
            HeldRegisterMoved.selector, home, Meter.CONSUMPTION, FIRST_CONSUMED, FIRST_CONSUMED + 1
        );
        refuse(home, flagged(reading(1, 0, 1), HouseholdSlot.CONSUMPTION_HELD), why);
    }

    function test_strangers_suspended_and_paused_are_refused() public {
        refuse(
            address(0xBAD),
            reading(1, 1, 1),
            abi.encodeWithSelector(HouseholdNotActive.selector, address(0xBAD))
        );
        vm.prank(OFFICE);
        market.suspend(home, true);
        refuse(home, reading(1, 0, 0), abi.encodeWithSelector(HouseholdNotActive.selector, home));
        vm.prank(OFFICE);
        market.suspend(home, false);
        vm.prank(AGENT);
        market.pause(true);
        refuse(home, reading(1, 1, 1), abi.encodeWithSelector(MarketPaused.selector));
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = sign(KEY, reading(1, 1, 1));
        vm.expectRevert(abi.encodeWithSelector(MarketPaused.selector));
        market.reportSigned(signed);
        vm.prank(AGENT);
        market.pause(false);
        report(home, reading(1, 1, 1));
    }

    function test_empty_reports_are_refused() public {
        vm.expectRevert(abi.encodeWithSelector(NoReadings.selector));
        market.report(new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(NoReadings.selector));
        market.reportSigned(new SignedReading[](0));
    }

    function test_unrecoverable_signature_is_refused_also_after_a_good_one() public {
        SignedReading[] memory signed = new SignedReading[](2);
        signed[0] = sign(KEY, reading(1, 1, 1));
        signed[1] = SignedReading(reading(2, 2, 2), 0, 0);
        vm.expectRevert(abi.encodeWithSelector(InvalidSignature.selector, signed[1].reading));
        market.reportSigned(signed);
    }

    /// The malleable twin has s' = n - s. In 255 bits its top bit reads as the parity, so it names somebody else.
    function testFuzz_malleable_twin_is_refused(uint256 salt) public {
        uint256 word = reading(1, salt % 700, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, market.readingDigest(word));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = SignedReading(word, r, bytes32((order - uint256(s)) | (uint256(28 - v) << 255)));
        try market.reportSigned(signed) {
            check(false, "accepted");
        } catch (bytes memory why) {
            bytes4 error_ = bytes4(why);
            check(
                error_ == HouseholdNotActive.selector || error_ == InvalidSignature.selector, "another error"
            );
        }
    }

    function testFuzz_signature_of_another_reading_is_refused(uint256 key, uint256 word, uint256 other)
        public
    {
        key = bound(key, 1, 1 << 250);
        vm.assume(word != other);
        address account = vm.addr(key);
        if (!market.household(account).enrolled) enrol(account);
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = sign(key, other);
        signed[0].reading = word;
        (bool accepted,) = address(market).call(abi.encodeCall(market.reportSigned, (signed)));
        check(!accepted, "accepted");
    }

    function testFuzz_signed_reading_is_booked_to_its_signer(uint256 key, uint256 produced, uint256 consumed)
        public
    {
        key = bound(key, 1, 1 << 250);
        address account = vm.addr(key);
        vm.assume(account != home);
        enrol(account);
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = sign(
            key, reading(1, produced = bound(produced, 0, MOST_IN_900_S), bound(consumed, 0, MOST_IN_900_S))
        );
        market.reportSigned(signed);
        equal(produced, market.balanceOf(account), "tokens");
    }

    function requireMint(Vm.Log memory log, uint256 amount) private view {
        equal(3, log.topics.length, "topics of Transfer");
        check(log.topics[0] == keccak256("Transfer(address,address,uint256)"), "Transfer");
        equal(0, uint256(log.topics[1]), "from");
        equal(uint160(home), uint256(log.topics[2]), "to");
        equal(amount, abi.decode(log.data, (uint256)), "amount");
    }
}
