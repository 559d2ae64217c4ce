// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HouseholdNotActive, TokensExceedSlot} from "../src/HouseholdSlot.sol";
import {
    NotEnoughLeft,
    NothingAsked,
    OrderExpired,
    OrderGone,
    OwnOrder,
    PaymentFailed,
    PriceChanged,
    SellerNotActive,
    Underpaid
} from "../src/Orders.sol";
import {TradingTest} from "./Trading.sol";
import {Vm} from "./Vm.sol";

/// @dev Takes no money.
contract Refuser {}

/// @dev Buying: who pays whom, what is recorded, and what is refused.
contract TradesTest is TradingTest {
    address private constant OTHER = address(0x07E2);

    /// @dev What 400 Wh cost: 400 × PRICE / 1000 is 6e14 + 0.4.
    uint256 private constant PRICE_WEI = 6e14 + 1;
    uint256 private constant SERVICE_WEI = 4e14;

    function setUp() public override {
        super.setUp();
        offer(SELLER, 1, 400);
    }

    function test_trade_pays_seller_and_distribution_company_and_moves_the_energy() public {
        vm.recordLogs();
        buyFor(PRICE_WEI + SERVICE_WEI, SELLER, 1, 400);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(PRICE_WEI, SELLER.balance, "seller's money");
        equal(SERVICE_WEI, AGENT.balance, "the distribution company's money");
        equal(FUNDS - PRICE_WEI - SERVICE_WEI, BUYER.balance, "buyer's money");
        equal(0, address(market).balance, "the market's money");
        requireStock(STOCK_WH - 400, 400, 0);
        equal(0, left(SELLER, 1), "left");
        equal(2, logs.length, "logs");
        requireTransfer(logs[0], address(market), BUYER, 400);
        requireTrade(logs[1], 1, 400, PRICE_WEI, SERVICE_WEI);
    }

    function test_order_is_bought_in_parts_each_a_trade_of_its_own() public {
        vm.warp(START + 1000);
        vm.recordLogs();
        buy(1, 1);
        buy(1, 399);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        requireTrade(logs[1], 1, 1, 1.5e12 + 1, 1e12);
        requireTrade(logs[3], 2, 399, cost(399, PRICE), 399e12);
        requireStock(STOCK_WH - 400, 400, 0);
        vm.expectRevert(abi.encodeWithSelector(OrderGone.selector, SELLER, 1));
        buy(1, 1);
        offer(SELLER, 2, 10);
        vm.recordLogs();
        buy(2, 10);
        (uint256 tradeId,,,,,) =
            abi.decode(vm.getRecordedLogs()[1].data, (uint256, uint40, uint40, uint256, uint256, uint32));
        equal(3, tradeId, "trade's number");
    }

    function test_part_leaves_the_rest_open() public {
        buy(1, 150);
        equal(250, left(SELLER, 1), "left");
        equal(PRICE, market.order(SELLER, 1).priceWeiPerKWh, "price");
        equal(EXPIRES_AT, market.order(SELLER, 1).expiresAt, "expiry");
        requireStock(STOCK_WH - 400, 150, 250);
    }

    function test_surplus_returns_to_the_wei() public {
        buyFor(FUNDS, SELLER, 1, 400);
        equal(FUNDS - PRICE_WEI - SERVICE_WEI, BUYER.balance, "buyer's money");
        equal(0, address(market).balance, "the market's money");
    }

    function test_one_wei_too_little_buys_nothing() public {
        uint256 needed = PRICE_WEI + SERVICE_WEI;
        vm.expectRevert(abi.encodeWithSelector(Underpaid.selector, needed, needed - 1));
        buyFor(needed - 1, SELLER, 1, 400);
        vm.expectRevert(abi.encodeWithSelector(Underpaid.selector, needed, 0));
        buyFor(0, SELLER, 1, 400);
        equal(FUNDS, BUYER.balance, "buyer's money");
        requireStock(STOCK_WH - 400, 0, 400);
    }

    function test_buying_is_checked() public {
        refuseBuying(SELLER, 1, 0, PRICE, abi.encodeWithSelector(NothingAsked.selector));
        refuseBuying(SELLER, 2, 1, PRICE, abi.encodeWithSelector(OrderGone.selector, SELLER, 2));
        refuseBuying(SELLER, 257, 1, PRICE, abi.encodeWithSelector(OrderGone.selector, SELLER, 257));
        refuseBuying(SELLER, 0, 1, PRICE, abi.encodeWithSelector(OrderGone.selector, SELLER, 0));
        refuseBuying(STRANGER, 1, 1, PRICE, abi.encodeWithSelector(OrderGone.selector, STRANGER, 1));
        refuseBuying(SELLER, 1, 1, PRICE + 1, abi.encodeWithSelector(PriceChanged.selector, PRICE, PRICE + 1));
        refuseBuying(SELLER, 1, 1, PRICE - 1, abi.encodeWithSelector(PriceChanged.selector, PRICE, PRICE - 1));
        refuseBuying(
            SELLER, 1, 401, PRICE, abi.encodeWithSelector(NotEnoughLeft.selector, SELLER, 1, 400, 401)
        );
        requireStock(STOCK_WH - 400, 0, 400);
        equal(FUNDS, BUYER.balance, "buyer's money");
    }

    function test_nobody_buys_from_himself() public {
        vm.deal(SELLER, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(OwnOrder.selector, SELLER, 1));
        vm.prank(SELLER);
        market.buy{value: 1 ether}(SELLER, 1, 400, PRICE);
    }

    function test_only_active_households_buy_and_only_from_active_ones() public {
        bytes memory why = abi.encodeWithSelector(HouseholdNotActive.selector, STRANGER);
        vm.deal(STRANGER, 1 ether);
        vm.expectRevert(why);
        vm.prank(STRANGER);
        market.buy{value: 1 ether}(SELLER, 1, 400, PRICE);
        suspend(BUYER, true);
        refuseBuying(SELLER, 1, 1, PRICE, abi.encodeWithSelector(HouseholdNotActive.selector, BUYER));
        suspend(BUYER, false);
        suspend(SELLER, true);
        refuseBuying(SELLER, 1, 1, PRICE, abi.encodeWithSelector(SellerNotActive.selector, SELLER));
        suspend(SELLER, false);
        buy(1, 1);
    }

    function test_order_is_bought_until_it_expires() public {
        vm.warp(EXPIRES_AT - 1);
        buy(1, 1);
        vm.warp(EXPIRES_AT);
        refuseBuying(
            SELLER, 1, 1, PRICE, abi.encodeWithSelector(OrderExpired.selector, SELLER, 1, EXPIRES_AT)
        );
    }

    function test_service_cost_is_the_one_in_force_and_goes_to_whom_it_is_set() public {
        vm.prank(AGENT);
        market.setServiceCost(3e15);
        vm.prank(AGENT);
        market.setServiceCostReceiver(OTHER);
        vm.expectRevert(
            abi.encodeWithSelector(Underpaid.selector, PRICE_WEI + 3 * SERVICE_WEI, PRICE_WEI + SERVICE_WEI)
        );
        buy(1, 400);
        buyFor(1 ether, SELLER, 1, 400);
        equal(3 * SERVICE_WEI, OTHER.balance, "the receiver's money");
        equal(0, AGENT.balance, "the former receiver's money");
        equal(FUNDS - PRICE_WEI - 3 * SERVICE_WEI, BUYER.balance, "buyer's money");
    }

    function test_who_sells_or_buys_may_be_the_receiver_too() public {
        vm.prank(AGENT);
        market.setServiceCostReceiver(SELLER);
        buyFor(1 ether, SELLER, 1, 400);
        equal(PRICE_WEI + SERVICE_WEI, SELLER.balance, "seller's money");
        vm.prank(AGENT);
        market.setServiceCostReceiver(BUYER);
        offer(SELLER, 2, 400);
        uint256 before = BUYER.balance;
        buyFor(1 ether, SELLER, 2, 400);
        equal(before - PRICE_WEI, BUYER.balance, "buyer's money");
        equal(2 * PRICE_WEI + SERVICE_WEI, SELLER.balance, "seller's money in the end");
        equal(0, address(market).balance, "the market's money");
    }

    function test_what_costs_nothing_is_paid_to_nobody() public {
        vm.prank(AGENT);
        market.setTariff(0, 1);
        vm.prank(AGENT);
        market.setServiceCost(0);
        address refuser = address(new Refuser());
        vm.prank(AGENT);
        market.setServiceCostReceiver(refuser);
        vm.prank(SELLER);
        market.offer(2, 5, 0, EXPIRES_AT);
        vm.prank(BUYER);
        market.buy(SELLER, 2, 5, 0);
        requireStock(STOCK_WH - 405, 5, 400);
    }

    function test_whoever_refuses_money_stops_the_whole_trade() public {
        address refuser = address(new Refuser());
        vm.prank(AGENT);
        market.setServiceCostReceiver(refuser);
        bytes memory why = abi.encodeWithSelector(PaymentFailed.selector, refuser, SERVICE_WEI);
        vm.expectRevert(why);
        buy(1, 400);
        vm.prank(AGENT);
        market.setServiceCostReceiver(AGENT);
        enrol(refuser);
        hold(refuser, 400);
        offer(refuser, 1, 400);
        vm.expectRevert(abi.encodeWithSelector(PaymentFailed.selector, refuser, PRICE_WEI));
        buyFor(1 ether, refuser, 1, 400);
        // As a buyer it cannot be given change.
        vm.deal(refuser, 1 ether);
        vm.expectRevert(
            abi.encodeWithSelector(PaymentFailed.selector, refuser, 1 ether - PRICE_WEI - SERVICE_WEI)
        );
        vm.prank(refuser);
        market.buy{value: 1 ether}(SELLER, 1, 400, PRICE);
        equal(400, left(SELLER, 1), "left");
        equal(0, SELLER.balance, "seller's money");
        equal(FUNDS, BUYER.balance, "buyer's money");
        vm.prank(refuser);
        market.buy{value: PRICE_WEI + SERVICE_WEI}(SELLER, 1, 400, PRICE);
    }

    function test_market_takes_no_other_money() public {
        vm.prank(BUYER);
        (bool taken,) = address(market).call{value: 1}("");
        check(!taken, "money without a purchase");
    }

    function test_bought_energy_is_sold_again_redeemed_and_sent() public {
        buy(1, 400);
        offer(BUYER, 1, 100);
        redeem(BUYER, 200);
        vm.prank(BUYER);
        check(market.transfer(STRANGER, 100), "transfer");
        equal(0, market.balanceOf(BUYER), "buyer's energy");
        equal(STOCK_WH - 200, market.totalSupply(), "supply");
    }

    function test_slot_of_the_buyer_is_not_overfilled() public {
        uint40 most = type(uint40).max;
        hold(BUYER, most - 399);
        refuseBuying(
            SELLER,
            1,
            400,
            PRICE,
            abi.encodeWithSelector(TokensExceedSlot.selector, BUYER, most, uint256(most) + 1)
        );
        buy(1, 399);
        equal(most, market.balanceOf(BUYER), "buyer's energy");
    }

    function testFuzz_parts_add_up_and_are_rounded_up(
        uint256 seed,
        uint80 price,
        uint96 serviceCost,
        uint40 energyWh
    ) public {
        energyWh = uint40(bound(energyWh, 1, type(uint40).max));
        vm.prank(AGENT);
        market.setTariff(0, type(uint80).max);
        vm.prank(AGENT);
        market.setServiceCost(serviceCost);
        hold(SELLER, energyWh);
        vm.prank(SELLER);
        market.offer(2, energyWh, price, EXPIRES_AT);
        uint256 bought = 0;
        uint256 paid = 0;
        uint256 served = 0;
        for (uint256 i = 0; i < 5 && bought < energyWh; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 part = i == 4 ? energyWh - bought : bound(seed, 1, energyWh - bought);
            uint256 surplus = (seed >> 64) % 1000;
            paid += cost(part, price);
            served += cost(part, serviceCost);
            uint256 value = cost(part, price) + cost(part, serviceCost) + surplus;
            vm.deal(BUYER, value);
            vm.prank(BUYER);
            market.buy{value: value}(SELLER, 2, uint40(part), price);
            equal(surplus, BUYER.balance, "surplus");
            bought += part;
            equal(bought, market.balanceOf(BUYER), "buyer's energy");
            equal(energyWh - bought, left(SELLER, 2), "left");
            equal(energyWh - bought + 400, escrowed(), "escrow");
        }
        equal(energyWh, bought, "all of it");
        equal(paid, SELLER.balance, "seller's money");
        equal(served, AGENT.balance, "the distribution company's money");
        equal(0, address(market).balance, "the market's money");
        check(paid >= cost(energyWh, price) && paid < cost(energyWh, price) + 5, "at most a wei a part");
    }

    function testFuzz_no_other_price_and_no_less_money_buys(uint80 price, uint256 value, uint40 energyWh)
        public
    {
        energyWh = uint40(bound(energyWh, 1, 400));
        uint256 needed = cost(energyWh, PRICE) + cost(energyWh, SERVICE_COST);
        value = bound(value, 0, 2 * needed);
        bool good = price % 2 == 0;
        if (good) price = PRICE;
        vm.prank(BUYER);
        (bool bought,) =
            address(market).call{value: value}(abi.encodeCall(market.buy, (SELLER, 1, energyWh, price)));
        check(bought == (price == PRICE && value >= needed), "bought");
        equal(bought ? FUNDS - needed : FUNDS, BUYER.balance, "buyer's money");
        equal(bought ? energyWh : 0, market.balanceOf(BUYER), "buyer's energy");
    }

    function refuseBuying(address seller, uint40 number, uint40 energyWh, uint80 price, bytes memory why)
        private
    {
        vm.expectRevert(why);
        vm.prank(BUYER);
        market.buy{value: 1 ether}(seller, number, energyWh, price);
    }

    /// @dev The seven fields of Table 8: P_PublicKey, C_PublicKey, ContractID, Amount, Token, ServiceCost, Time.
    function requireTrade(Vm.Log memory log, uint256 id, uint256 energyWh, uint256 paid, uint256 served)
        private
        view
    {
        check(
            log.topics[0]
                == keccak256("Traded(address,address,uint256,uint40,uint40,uint256,uint256,uint32)"),
            "no Traded"
        );
        equal(uint160(SELLER), uint256(log.topics[1]), "P_PublicKey");
        equal(uint160(BUYER), uint256(log.topics[2]), "C_PublicKey");
        (uint256 tradeId, uint40 number, uint40 amount, uint256 token, uint256 serviceCost, uint32 time) =
            abi.decode(log.data, (uint256, uint40, uint40, uint256, uint256, uint32));
        equal(id, tradeId, "ContractID");
        equal(1, number, "the order's number");
        equal(energyWh, amount, "Amount");
        equal(paid, token, "Token");
        equal(served, serviceCost, "ServiceCost");
        equal(block.timestamp, time, "Time");
    }
}
