// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnergyMarket} from "../src/EnergyMarket.sol";
import {MarketPaused} from "../src/MarketState.sol";
import {NumberNotRising, OrderGone, PlaceTaken} from "../src/Orders.sol";
import {Households} from "./Households.sol";
import {Vm} from "./Vm.sol";

/// @dev The households offer, buy, cancel and redeem too, and keep books of it. Whatever the books say must succeed is done,
/// and whatever they say must fail is tried.
contract Traders is Households {
    struct Sale {
        address seller;
        uint40 number;
        uint80 price;
        uint32 expiresAt;
        uint256 offeredWh;
        uint256 leftWh;
        uint256 soldWh;
        uint256 cancelledWh;
    }

    uint256 public constant FUNDS = 1e24;
    Sale[] private sales;
    /// @dev Of each seller's place, the sale that was last in it, plus 1.
    mapping(address seller => mapping(uint256 place => uint256 index)) private places;
    mapping(address seller => uint40 number) private numbers;
    mapping(address account => uint256 wei_) public money;
    mapping(address account => uint256 wh) public redeemedWh;
    uint256 public redeemedInAllWh;
    uint256 public servedWei;
    uint256 public trades;

    constructor(EnergyMarket market_) Households(market_) {
        for (uint256 i = 0; i < COUNT; ++i) {
            vm.deal(account(i), FUNDS);
            money[account(i)] = FUNDS;
        }
    }

    function offers(uint256 who, uint256 seed) external {
        address seller = account(who);
        uint256 held = market.balanceOf(seller);
        if (held == 0) return;
        seed = mixed(seed);
        uint40 number = numbers[seller] + 64 * uint40(seed % 3 + 1); // four places, so that they are used again
        Sale memory sale = Sale({
            seller: seller,
            number: number,
            price: uint80(bound(seed >> 16, 1e15, 2e15)),
            expiresAt: uint32(block.timestamp + 1 + (seed >> 96) % 2 days),
            offeredWh: bound(seed >> 128, 1, held),
            leftWh: 0,
            soldWh: 0,
            cancelledWh: 0
        });
        bytes memory call_ =
            abi.encodeCall(market.offer, (number, uint40(sale.offeredWh), sale.price, sale.expiresAt));
        uint256 before = places[seller][number % 256];
        if (before != 0 && sales[before - 1].leftWh != 0) {
            refused(seller, 0, call_, PlaceTaken.selector);
            return;
        }
        done(seller, 0, call_);
        sale.leftWh = sale.offeredWh;
        sales.push(sale);
        places[seller][number % 256] = sales.length;
        numbers[seller] = number;
    }

    function buys(uint256 who, uint256 which, uint256 seed) external {
        if (sales.length == 0) return;
        seed = mixed(seed);
        // Mostly one of the newest, of which something is left.
        uint256 recent = sales.length < 4 || which % 4 == 0 ? sales.length : 4;
        Sale storage sale = sales[sales.length - 1 - (which >> 2) % recent];
        address buyer = account(who);
        uint256 energyWh = seed % (sale.leftWh + 1) + (seed >> 64) % 2; // 0 and one too many come about, too
        uint256 price = cost(energyWh, sale.price);
        uint256 service = cost(energyWh, market.parameters().serviceCostWeiPerKWh);
        uint256 value = price + service + (seed >> 128) % 3;
        bytes memory call_ =
            abi.encodeCall(market.buy, (sale.seller, sale.number, uint40(energyWh), sale.price));
        if (
            energyWh == 0 || energyWh > sale.leftWh || buyer == sale.seller
                || block.timestamp >= sale.expiresAt
        ) {
            refused(buyer, value, call_, 0);
            return;
        }
        refused(buyer, price + service - 1, call_, 0);
        vm.recordLogs();
        done(buyer, value, call_);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        check(
            keccak256(logs[1].data)
                == keccak256(abi.encode(++trades, sale.number, energyWh, price, service, block.timestamp)),
            "a trade's record"
        );
        money[buyer] -= price + service;
        money[sale.seller] += price;
        servedWei += service;
        sale.leftWh -= energyWh;
        sale.soldWh += energyWh;
    }

    function cancels(uint256 which) external {
        if (sales.length == 0) return;
        Sale storage sale = sales[which % sales.length];
        bytes memory call_ = abi.encodeCall(market.cancel, (sale.number));
        if (sale.leftWh == 0) {
            refused(sale.seller, 0, call_, OrderGone.selector);
            return;
        }
        done(sale.seller, 0, call_);
        sale.cancelledWh += sale.leftWh;
        sale.leftWh = 0;
    }

    function redeems(uint256 who, uint256 seed) external {
        address home = account(who);
        uint256 allowed = consumedWh[home] - redeemedWh[home];
        uint256 held = market.balanceOf(home);
        uint256 most = allowed < held ? allowed : held;
        refused(home, 0, abi.encodeCall(market.redeem, (uint40(most + 1))), 0);
        if (most == 0) return;
        uint256 energyWh = bound(mixed(seed), 1, most);
        done(home, 0, abi.encodeCall(market.redeem, (uint40(energyWh))));
        redeemedWh[home] += energyWh;
        redeemedInAllWh += energyWh;
    }

    /// @dev Orders expire meanwhile.
    function waits(uint256 seconds_) external {
        vm.warp(block.timestamp + mixed(seconds_) % 8 hours);
    }

    function setsServiceCost(uint256 weiPerKWh) external {
        vm.prank(AGENT);
        market.setServiceCost(uint96(weiPerKWh % 1e16));
    }

    /// @dev A paused market moves nothing, whoever asks.
    function pauses(uint256 who, uint256 which, uint256 seed) external {
        bytes32 before = state();
        vm.prank(AGENT);
        market.pause(true);
        address home = account(who);
        bytes4 why = MarketPaused.selector;
        refused(home, 0, abi.encodeCall(market.offer, (numbers[home] + 1, 1, 1e15, type(uint32).max)), why);
        refused(home, 0, abi.encodeCall(market.redeem, (1)), why);
        refused(home, 0, abi.encodeCall(market.report, (one(last[home] + (1 << 112) + (1 << 80)))), why);
        uint256 held = market.balanceOf(home);
        refused(home, 0, abi.encodeCall(market.transfer, (account(which), bound(seed, 0, held))), why);
        if (sales.length != 0) {
            Sale storage sale = sales[which % sales.length];
            refused(sale.seller, 0, abi.encodeCall(market.cancel, (sale.number)), why);
            refused(
                home,
                1 ether,
                abi.encodeCall(market.buy, (sale.seller, sale.number, uint40(sale.leftWh), sale.price)),
                why
            );
        }
        vm.prank(AGENT);
        market.pause(false);
        check(state() == before, "a paused market moved something");
    }

    /// @dev After its conclusion nothing can change a trade: neither can an order that is over come back.
    function meddles(uint256 who, uint256 which) external {
        if (sales.length == 0) return;
        Sale storage sale = sales[which % sales.length];
        refused(
            sale.seller,
            0,
            abi.encodeCall(market.offer, (sale.number, 1, 1e15, type(uint32).max)),
            NumberNotRising.selector
        );
        address other = account(who);
        if (other != sale.seller && sale.leftWh == 0) {
            refused(
                other,
                1 ether,
                abi.encodeCall(market.buy, (sale.seller, sale.number, 1, sale.price)),
                OrderGone.selector
            );
            refused(sale.seller, 0, abi.encodeCall(market.cancel, (sale.number)), OrderGone.selector);
        }
    }

    /// @dev Whether the books and the market agree on each order; gives what is left of all of them.
    function requireOrders() external view returns (uint256 leftWh) {
        for (uint256 i = 0; i < sales.length; ++i) {
            Sale storage sale = sales[i];
            equal(sale.leftWh, market.order(sale.seller, sale.number).energyWh, "left of an order");
            equal(sale.offeredWh, sale.leftWh + sale.soldWh + sale.cancelledWh, "an order's energy");
            leftWh += sale.leftWh;
        }
    }

    /// @dev All that a pause must not move.
    function state() private view returns (bytes32 all) {
        all = keccak256(abi.encode(market.totalSupply(), address(market).balance, AGENT.balance));
        for (uint256 i = 0; i < COUNT; ++i) {
            address home = account(i);
            all = keccak256(abi.encode(all, market.household(home), market.redeemable(home), home.balance));
        }
        for (uint256 i = 0; i < sales.length; ++i) {
            all = keccak256(abi.encode(all, market.order(sales[i].seller, sales[i].number)));
        }
    }

    /// @dev forge likes small numbers and borders; all of a seed's parts shall vary.
    function mixed(uint256 seed) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    function done(address who, uint256 value, bytes memory call_) private {
        vm.prank(who);
        (bool accepted,) = address(market).call{value: value}(call_);
        check(accepted, "refused what is right");
    }

    /// @param why the error's selector; 0 for any
    function refused(address who, uint256 value, bytes memory call_, bytes4 why) private {
        vm.prank(who);
        (bool accepted, bytes memory answer) = address(market).call{value: value}(call_);
        check(!accepted, "accepted what is wrong");
        check(answer.length >= 4 && (why == 0 || bytes4(answer) == why), "refused for another reason");
    }

    function cost(uint256 energyWh, uint256 weiPerKWh) private pure returns (uint256 total) {
        total = energyWh * weiPerKWh / 1000;
        if (energyWh * weiPerKWh % 1000 != 0) ++total;
    }
}
