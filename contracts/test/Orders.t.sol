// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {HouseholdNotActive} from "../src/HouseholdSlot.sol";
import {MarketPaused} from "../src/MarketState.sol";
import {Order} from "../src/MarketTypes.sol";
import {
    NothingAsked,
    NumberNotRising,
    OrderExpired,
    OrderGone,
    PlaceTaken,
    PriceOutsideTariff
} from "../src/Orders.sol";
import {MarketIsNoHousehold} from "../src/Registration.sol";
import {TradingTest} from "./Trading.sol";
import {Vm} from "./Vm.sol";

/// @dev Offering and cancelling; what a place and its number are; the escrow.
contract OrdersTest is TradingTest {
    uint40 private constant MOST = type(uint40).max;

    function test_offer_puts_energy_in_escrow() public {
        vm.recordLogs();
        offer(SELLER, 7, 400);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        requireStock(600, 0, 400);
        Order memory o = market.order(SELLER, 7);
        check(o.seller == SELLER, "seller");
        equal(7, o.number, "number");
        equal(400, o.energyWh, "energy");
        equal(PRICE, o.priceWeiPerKWh, "price");
        equal(EXPIRES_AT, o.expiresAt, "expiry");
        equal(2, logs.length, "logs");
        requireTransfer(logs[0], SELLER, address(market), 400);
        check(logs[1].topics[0] == keccak256("Offered(address,uint40,uint40,uint80,uint32)"), "no Offered");
        equal(uint160(SELLER), uint256(logs[1].topics[1]), "seller in the event");
        check(
            keccak256(logs[1].data) == keccak256(abi.encode(7, 400, PRICE, EXPIRES_AT)), "terms in the event"
        );
    }

    function test_order_is_one_word_where_its_seller_and_place_say() public {
        offer(SELLER, 256 * 9 + 7, 400);
        bytes32 key = bytes32((1 << 240) + 256 * uint256(uint160(SELLER)) + 7);
        uint256 word =
            400 | (uint256(EXPIRES_AT) << 40) | (uint256(PRICE) << 72) | (uint256(256 * 9 + 7) << 152);
        equal(word, uint256(vm.load(address(market), key)), "slot");
        cancel(SELLER, 256 * 9 + 7);
        equal(word - 400, uint256(vm.load(address(market), key)), "slot of an order that is over");
    }

    function test_offer_is_checked() public {
        refuseOffer(
            400, PRICE, START + 900, abi.encodeWithSelector(OrderExpired.selector, SELLER, 1, START + 900)
        );
        refuseOffer(0, PRICE, EXPIRES_AT, abi.encodeWithSelector(NothingAsked.selector));
        refuseOffer(400, 1e15 - 1, EXPIRES_AT, outsideTariff(1e15 - 1));
        refuseOffer(400, 2e15 + 1, EXPIRES_AT, outsideTariff(2e15 + 1));
        refuseOffer(STOCK_WH + 1, PRICE, EXPIRES_AT, tooLittle(SELLER, STOCK_WH, STOCK_WH + 1));
        suspend(SELLER, true);
        refuseOffer(400, PRICE, EXPIRES_AT, abi.encodeWithSelector(HouseholdNotActive.selector, SELLER));
        requireStock(STOCK_WH, 0, 0);
    }

    function test_whoever_is_not_enrolled_offers_nothing() public {
        vm.prank(SELLER);
        check(market.transfer(STRANGER, 10), "transfer");
        vm.expectRevert(abi.encodeWithSelector(HouseholdNotActive.selector, STRANGER));
        offer(STRANGER, 1, 10);
    }

    function test_both_ends_of_the_tariff_are_prices() public {
        vm.prank(SELLER);
        market.offer(1, 1, 1e15, EXPIRES_AT);
        vm.prank(SELLER);
        market.offer(2, 1, 2e15, START + 901);
    }

    function test_tariff_of_now_bounds_offers_and_leaves_orders_alone() public {
        offer(SELLER, 1, 400);
        vm.prank(AGENT);
        market.setTariff(3, 4);
        equal(400, left(SELLER, 1), "left");
        vm.expectRevert(abi.encodeWithSelector(PriceOutsideTariff.selector, 3, 4, PRICE));
        offer(SELLER, 2, 400);
        buy(1, 400);
    }

    function test_energy_is_offered_once() public {
        offer(SELLER, 1, 600);
        vm.expectRevert(tooLittle(SELLER, 400, 401));
        offer(SELLER, 2, 401);
        vm.expectRevert(tooLittle(SELLER, 400, 401));
        vm.prank(SELLER);
        market.transfer(BUYER, 401);
        vm.expectRevert(tooLittle(SELLER, 400, 401));
        redeem(SELLER, 401);
        offer(SELLER, 2, 400);
        requireStock(0, 0, STOCK_WH);
    }

    function test_numbers_rise_in_each_place() public {
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 0, 0));
        offer(SELLER, 0, 1);
        offer(SELLER, 300, 10); // place 44
        offer(SELLER, 2, 10); // another place: its numbers are its own
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 300, 44));
        offer(SELLER, 44, 1);
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 300, 300));
        offer(SELLER, 300, 1);
        vm.expectRevert(abi.encodeWithSelector(PlaceTaken.selector, SELLER, 300));
        offer(SELLER, 556, 1);
        cancel(SELLER, 300);
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 300, 300));
        offer(SELLER, 300, 1);
        offer(SELLER, 556, 20);
        equal(20, left(SELLER, 556), "the next order in the place");
        equal(0, left(SELLER, 300), "the one before");
        equal(0, left(SELLER, 44), "a number that never was");
        buy(556, 20);
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 556, 556));
        offer(SELLER, 556, 1);
        offer(SELLER, MOST, 1);
        equal(1, left(SELLER, MOST), "the highest number");
    }

    function test_seller_has_256_places() public {
        for (uint40 number = 1; number <= 256; ++number) {
            offer(SELLER, number, 1);
        }
        vm.expectRevert(abi.encodeWithSelector(PlaceTaken.selector, SELLER, 1));
        offer(SELLER, 257, 1);
        requireStock(STOCK_WH - 256, 0, 256);
    }

    function test_numbers_are_each_sellers_own() public {
        produce(BUYER, 10);
        offer(SELLER, 1, 400);
        offer(BUYER, 1, 10);
        equal(400, left(SELLER, 1), "seller's");
        equal(10, left(BUYER, 1), "the other's");
    }

    function test_cancel_returns_what_is_left() public {
        offer(SELLER, 1, 400);
        buy(1, 150);
        vm.recordLogs();
        cancel(SELLER, 1);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        requireStock(STOCK_WH - 150, 150, 0);
        equal(2, logs.length, "logs");
        requireTransfer(logs[0], address(market), SELLER, 250);
        check(logs[1].topics[0] == keccak256("Cancelled(address,uint40,uint40)"), "no Cancelled");
        equal(uint160(SELLER), uint256(logs[1].topics[1]), "seller in the event");
        check(keccak256(logs[1].data) == keccak256(abi.encode(1, 250)), "number and energy in the event");
        vm.expectRevert(gone(SELLER, 1));
        cancel(SELLER, 1);
    }

    function test_only_ones_own_open_order_is_cancelled() public {
        offer(SELLER, 1, 400);
        vm.expectRevert(gone(BUYER, 1));
        cancel(BUYER, 1);
        vm.expectRevert(gone(SELLER, 257)); // the same place
        cancel(SELLER, 257);
        vm.expectRevert(gone(SELLER, 2));
        cancel(SELLER, 2);
        vm.expectRevert(gone(SELLER, 0));
        cancel(SELLER, 0);
        buy(1, 400);
        vm.expectRevert(gone(SELLER, 1));
        cancel(SELLER, 1);
    }

    function test_expired_order_is_cancelled_by_a_suspended_seller_too() public {
        offer(SELLER, 1, 400);
        vm.warp(EXPIRES_AT + 30 days);
        suspend(SELLER, true);
        cancel(SELLER, 1);
        requireStock(STOCK_WH, 0, 0);
        check(!market.household(SELLER).active, "still suspended");
    }

    function test_orders_touch_energy_only() public {
        offer(SELLER, 1, 400);
        buy(1, 150);
        cancel(SELLER, 1);
        requireRegisters(SELLER, STOCK_WH);
        requireRegisters(BUYER, 0);
        equal(900, market.parameters().reportingPeriodS, "period");
        check(!market.paused(), "paused");
    }

    function test_pause_stops_offers_cancels_buys_and_redemptions() public {
        offer(SELLER, 1, 400);
        pause(true);
        bytes memory why = abi.encodeWithSelector(MarketPaused.selector);
        vm.expectRevert(why);
        offer(SELLER, 2, 1);
        vm.expectRevert(why);
        cancel(SELLER, 1);
        vm.expectRevert(why);
        buy(1, 1);
        vm.expectRevert(why);
        redeem(SELLER, 1);
        requireStock(STOCK_WH - 400, 0, 400);
        pause(false);
        buy(1, 1);
        redeem(SELLER, 1);
        cancel(SELLER, 1);
        offer(SELLER, 2, 1);
    }

    function test_escrow_takes_nothing_but_orders() public {
        bytes memory why = abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(market));
        vm.expectRevert(why);
        vm.prank(SELLER);
        market.transfer(address(market), 1);
        vm.prank(SELLER);
        market.approve(BUYER, 10);
        vm.expectRevert(why);
        vm.prank(BUYER);
        market.transferFrom(SELLER, address(market), 1);
        vm.expectRevert(abi.encodeWithSelector(MarketIsNoHousehold.selector, address(market)));
        vm.prank(OFFICE);
        market.enrol(enrolment(address(market)));
        requireStock(STOCK_WH, 0, 0);
    }

    function testFuzz_any_good_order_is_kept_as_it_was_offered(
        address seller,
        uint40 number,
        uint40 energyWh,
        uint80 price,
        uint32 expiresAt
    ) public {
        vm.assume(seller != address(0) && seller != SELLER && seller != BUYER && seller != address(market));
        number = uint40(bound(number, 1, MOST));
        energyWh = uint40(bound(energyWh, 1, MOST));
        expiresAt = uint32(bound(expiresAt, START + 901, type(uint32).max));
        vm.prank(AGENT);
        market.setTariff(0, type(uint80).max);
        enrol(seller);
        hold(seller, MOST);
        vm.prank(seller);
        market.offer(number, energyWh, price, expiresAt);
        Order memory o = market.order(seller, number);
        equal(energyWh, o.energyWh, "energy");
        equal(price, o.priceWeiPerKWh, "price");
        equal(expiresAt, o.expiresAt, "expiry");
        equal(MOST - energyWh, market.balanceOf(seller), "seller's energy");
        equal(energyWh, escrowed(), "escrow");
        requireRegisters(SELLER, STOCK_WH);
        vm.prank(seller);
        market.cancel(number);
        equal(MOST, market.balanceOf(seller), "seller's energy in the end");
        equal(0, escrowed(), "escrow in the end");
    }

    function refuseOffer(uint40 energyWh, uint80 price, uint32 expiresAt, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(SELLER);
        market.offer(1, energyWh, price, expiresAt);
    }

    function produce(address household, uint40 producedWh) private {
        vm.warp(START + 1800);
        report(household, reading(2, producedWh, CONSUMED_WH));
    }

    function requireRegisters(address household, uint40 producedWh) private view {
        equal(FIRST_PRODUCED + producedWh, market.household(household).producedWh, "produced");
        equal(FIRST_CONSUMED + CONSUMED_WH, market.household(household).consumedWh, "consumed");
        equal(1, market.household(household).sequence, "sequence");
        check(market.household(household).active, "active");
    }

    function outsideTariff(uint80 price) private pure returns (bytes memory) {
        return abi.encodeWithSelector(PriceOutsideTariff.selector, 1e15, 2e15, price);
    }

    function tooLittle(address who, uint256 held, uint256 asked) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, who, held, asked);
    }

    function gone(address seller, uint256 number) private pure returns (bytes memory) {
        return abi.encodeWithSelector(OrderGone.selector, seller, number);
    }
}
