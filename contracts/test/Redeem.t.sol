// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {HouseholdNotActive} from "../src/HouseholdSlot.sol";
import {Enrolled, Meter} from "../src/MarketTypes.sol";
import {ExceedsConsumption, NothingAsked} from "../src/Orders.sol";
import {TradingTest} from "./Trading.sol";
import {Vm} from "./Vm.sol";

/// @dev Redeeming: tokens burned against one's own consumption since enrolment.
contract RedeemTest is TradingTest {
    function test_redeemed_tokens_are_burned() public {
        equal(CONSUMED_WH, market.redeemable(SELLER), "redeemable");
        vm.recordLogs();
        redeem(SELLER, 200);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        requireStock(STOCK_WH - 200, 0, 0);
        equal(CONSUMED_WH - 200, market.redeemable(SELLER), "redeemable after");
        equal(200, market.household(SELLER).record.redeemedWh, "on record");
        equal(2, logs.length, "logs");
        requireTransfer(logs[0], SELLER, address(0), 200);
        check(logs[1].topics[0] == keccak256("Redeemed(address,uint40)"), "no Redeemed");
        equal(uint160(SELLER), uint256(logs[1].topics[1]), "household in the event");
        equal(200, abi.decode(logs[1].data, (uint256)), "energy in the event");
    }

    function test_redeeming_is_checked() public {
        refuseToRedeem(SELLER, 0, abi.encodeWithSelector(NothingAsked.selector));
        refuseToRedeem(SELLER, 501, exceeds(SELLER, 500, 501));
        redeem(SELLER, 300);
        refuseToRedeem(SELLER, 201, exceeds(SELLER, 200, 201));
        redeem(SELLER, 200);
        refuseToRedeem(SELLER, 1, exceeds(SELLER, 0, 1));
        refuseToRedeem(
            BUYER, 1, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BUYER, 0, 1)
        );
        suspend(SELLER, true);
        refuseToRedeem(SELLER, 1, abi.encodeWithSelector(HouseholdNotActive.selector, SELLER));
        refuseToRedeem(STRANGER, 1, abi.encodeWithSelector(HouseholdNotActive.selector, STRANGER));
        equal(0, market.redeemable(STRANGER), "who was never enrolled");
        requireStock(STOCK_WH - 500, 0, 0);
    }

    function test_energy_in_escrow_is_not_redeemed() public {
        offer(SELLER, 1, STOCK_WH);
        refuseToRedeem(
            SELLER, 1, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, SELLER, 0, 1)
        );
    }

    function test_further_consumption_may_be_redeemed() public {
        redeem(SELLER, 500);
        vm.warp(START + 1800);
        report(SELLER, reading(2, STOCK_WH, CONSUMED_WH + 70));
        equal(70, market.redeemable(SELLER), "redeemable");
        redeem(SELLER, 70);
    }

    function test_consumption_counts_over_all_meters() public {
        redeem(SELLER, 100);
        vm.warp(START + 1800);
        // 500 counted, 30 more at the end; the new meter comes with 9 million, and then with 5.
        replace(Meter.CONSUMPTION, "second", FIRST_CONSUMED + CONSUMED_WH + 30, 9_000_000);
        equal(430, market.redeemable(SELLER), "redeemable after the second meter");
        vm.warp(START + 2700);
        report(SELLER, pack(2, 1, START + 2700, FIRST_PRODUCED + STOCK_WH, 9_000_100));
        equal(530, market.redeemable(SELLER), "redeemable after its reading");
        replace(Meter.CONSUMPTION, "third", 9_000_100, 5);
        equal(530, market.redeemable(SELLER), "redeemable after the third meter");
        replace(Meter.PRODUCTION, "fourth", FIRST_PRODUCED + STOCK_WH, 77);
        equal(530, market.redeemable(SELLER), "redeemable after a production meter");
        refuseToRedeem(SELLER, 531, exceeds(SELLER, 530, 531));
        redeem(SELLER, 530);
        equal(0, market.redeemable(SELLER), "redeemable in the end");
    }

    function test_record_keeps_the_rest_of_its_word() public {
        Enrolled memory before = market.household(SELLER).record;
        redeem(SELLER, 100);
        vm.warp(START + 1800);
        replace(Meter.CONSUMPTION, before.consumptionMeter, FIRST_CONSUMED + CONSUMED_WH, 0);
        Enrolled memory record = market.household(SELLER).record;
        equal(before.ratedPowerW, record.ratedPowerW, "rating");
        equal(before.enrolledAt, record.enrolledAt, "enrolledAt");
        check(!record.suspended, "suspended");
        equal(100, record.redeemedWh, "redeemed");
        check(record.consumedOffsetWh == int64(uint64(CONSUMED_WH)), "offset");
        check(before.consumedOffsetWh == -int64(uint64(FIRST_CONSUMED)), "offset before");
    }

    function testFuzz_redeemable_is_what_was_consumed_less_what_was_redeemed(uint256 seed) public {
        uint256 consumed = CONSUMED_WH;
        uint256 redeemed = 0;
        uint256 register = FIRST_CONSUMED + CONSUMED_WH;
        uint256 epoch = 1;
        uint256 sequence = 1;
        hold(SELLER, type(uint40).max);
        vm.store(address(market), ledger(), bytes32(uint256(1 << 63) | (900 << 72)));
        for (uint256 i = 1; i <= 8; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 gain = seed % 1300;
            vm.warp(START + 900 + 900 * i);
            if (seed >> 32 & 1 == 0) {
                uint40 opening = uint40(seed >> 64) >> 1;
                replace(Meter.CONSUMPTION, bytes32(seed), uint40(register + gain), opening);
                register = opening;
                ++epoch;
                sequence = 0;
            } else {
                register += gain;
                report(SELLER, pack(epoch, ++sequence, block.timestamp, FIRST_PRODUCED + STOCK_WH, register));
            }
            consumed += gain;
            uint256 some = (seed >> 128) % (consumed - redeemed + 1);
            if (some != 0) redeem(SELLER, uint40(some));
            redeemed += some;
            equal(consumed - redeemed, market.redeemable(SELLER), "redeemable");
        }
        equal(uint256(1 << 63) - redeemed, market.totalSupply(), "supply");
    }

    /// @dev The slot of the ledger: the one with the reporting period.
    function ledger() private view returns (bytes32) {
        for (uint256 slot = 0; slot < 20; ++slot) {
            if (uint256(vm.load(address(market), bytes32(slot))) >> 72 & type(uint32).max == 900) {
                return bytes32(slot);
            }
        }
        revert Wrong("no ledger");
    }

    function replace(Meter meter, bytes32 meterId, uint40 closingWh, uint40 openingWh) private {
        vm.prank(OFFICE);
        market.replaceMeter(SELLER, meter, meterId, closingWh, openingWh);
    }

    function refuseToRedeem(address household, uint40 energyWh, bytes memory why) private {
        vm.expectRevert(why);
        redeem(household, energyWh);
    }

    function exceeds(address household, uint256 allowed, uint256 asked) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ExceedsConsumption.selector, household, allowed, asked);
    }
}
