// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {EnergyMarket} from "../src/EnergyMarket.sol";
import {HouseholdNotActive} from "../src/HouseholdSlot.sol";
import {
    NumberNotRising,
    OrderGone,
    OwnOrder,
    PaymentFailed,
    PriceChanged,
    Reentered,
    Underpaid
} from "../src/Orders.sol";
import {TradingTest} from "./Trading.sol";
import {Vm} from "./Vm.sol";

/// @dev A seller that is a contract, and calls the market again while it is being paid.
contract Reentrant {
    EnergyMarket private immutable MARKET;
    bytes private attack;
    bool private insists;
    bytes public answer;
    uint256 public paid;

    constructor(EnergyMarket market) {
        MARKET = market;
    }

    function plan(bytes calldata attack_, bool insists_) external {
        attack = attack_;
        insists = insists_;
    }

    function offers(uint40 number, uint40 energyWh, uint80 price, uint32 expiresAt) external {
        MARKET.offer(number, energyWh, price, expiresAt);
    }

    receive() external payable {
        paid += msg.value;
        bool done;
        (done, answer) = address(MARKET).call{value: address(this).balance / 2}(attack);
        if (!done) (done, answer) = address(MARKET).call(attack);
        require(done || !insists);
    }
}

/// @dev Every fault of the contract that the paper published (5.2.1), as an attack on this one.
contract PaperFaultsTest is TradingTest {
    address private constant OTHER = address(0x07E2);

    /// "Any caller may name any buyer": here the buyer is whoever calls and pays, and there is no word to name another in.
    function test_nobody_buys_in_anothers_name() public {
        offer(SELLER, 1, 400);
        vm.deal(STRANGER, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(HouseholdNotActive.selector, STRANGER));
        vm.prank(STRANGER);
        market.buy{value: 1 ether}(SELLER, 1, 400, PRICE);
        enrol(OTHER);
        vm.deal(OTHER, 1 ether);
        vm.prank(OTHER);
        market.buy{value: 1 ether}(SELLER, 1, 400, PRICE);
        equal(400, market.balanceOf(OTHER), "energy of the one who paid");
        equal(0, market.balanceOf(BUYER), "energy of another");
        equal(FUNDS, BUYER.balance, "money of another");
    }

    /// The paper's caller names the seller too: here only whoever offered is paid, and only for what he offered.
    function test_nobody_sells_in_anothers_name() public {
        offer(SELLER, 1, 400);
        vm.expectRevert(abi.encodeWithSelector(OrderGone.selector, OTHER, 1));
        buyFor(1 ether, OTHER, 1, 400);
        vm.expectRevert(abi.encodeWithSelector(OwnOrder.selector, BUYER, 1));
        buyFor(1 ether, BUYER, 1, 400);
        vm.expectRevert(abi.encodeWithSelector(OrderGone.selector, STRANGER, 1));
        cancel(STRANGER, 1);
        equal(400, left(SELLER, 1), "left");
    }

    /// "The value sent is not checked against Token + ServiceCost."
    function test_nobody_buys_for_less_than_price_and_service_cost() public {
        offer(SELLER, 1, 400);
        uint256 price = cost(400, PRICE);
        uint256 needed = price + cost(400, SERVICE_COST);
        uint256[4] memory values = [0, 1, price, needed - 1];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Underpaid.selector, needed, values[i]));
            buyFor(values[i], SELLER, 1, 400);
        }
        vm.expectRevert(abi.encodeWithSelector(PriceChanged.selector, PRICE, 1));
        vm.prank(BUYER);
        market.buy{value: needed}(SELLER, 1, 400, 1);
        requireStock(STOCK_WH - 400, 0, 400);
    }

    /// "The service cost never reaches the distribution agent."
    function test_service_cost_reaches_the_distribution_agent_with_the_trade() public {
        offer(SELLER, 1, 400);
        buy(1, 150);
        equal(cost(150, SERVICE_COST), AGENT.balance, "after a part");
        buy(1, 250);
        equal(cost(400, SERVICE_COST), AGENT.balance, "after all");
    }

    /// "Only the last order is kept."
    function test_every_order_and_every_trade_is_kept() public {
        enrol(OTHER);
        hold(OTHER, 50);
        for (uint40 number = 1; number <= 5; ++number) {
            offer(SELLER, number, 10 * number);
            offer(OTHER, number, number);
        }
        vm.recordLogs();
        for (uint40 number = 1; number <= 5; ++number) {
            equal(10 * number, left(SELLER, number), "seller's order");
            equal(number, left(OTHER, number), "the other's order");
            buy(number, 1);
        }
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(10, logs.length, "logs");
        for (uint256 i = 0; i < 5; ++i) {
            (uint256 id, uint40 number,,,,) =
                abi.decode(logs[2 * i + 1].data, (uint256, uint40, uint40, uint256, uint256, uint32));
            equal(i + 1, id, "trade's number");
            equal(i + 1, number, "order's number");
        }
    }

    /// "No energy is escrowed, so the same surplus can be sold twice."
    function test_same_energy_is_not_sold_twice() public {
        offer(SELLER, 1, STOCK_WH);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, SELLER, 0, STOCK_WH)
        );
        offer(SELLER, 2, STOCK_WH);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, SELLER, 0, 1));
        vm.prank(SELLER);
        market.transfer(OTHER, 1);
        buy(1, STOCK_WH);
        vm.expectRevert(abi.encodeWithSelector(OrderGone.selector, SELLER, 1));
        buy(1, 1);
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 1, 1));
        offer(SELLER, 1, 1);
        requireStock(0, STOCK_WH, 0);
    }

    /// Nor energy that no meter counted.
    function test_energy_that_was_not_produced_is_not_sold() public {
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BUYER, 0, 1));
        offer(BUYER, 1, 1);
    }

    /// "Amounts are whole ether."
    function test_amounts_are_wei_and_watt_hours() public {
        vm.prank(AGENT);
        market.setTariff(1, 2000);
        vm.prank(AGENT);
        market.setServiceCost(1);
        vm.prank(SELLER);
        market.offer(1, 2, 1000, EXPIRES_AT);
        vm.prank(BUYER);
        market.buy{value: 2}(SELLER, 1, 1, 1000);
        equal(1, SELLER.balance, "a watt-hour for a wei");
        equal(1, AGENT.balance, "a thousandth of a wei, rounded up");
        requireStock(STOCK_WH - 2, 1, 1);
    }

    /// After three orders a stranger called the paper's `setOrder`, named himself and got the three service costs. Here
    /// nothing stays in the contract, and what somebody forced into it nobody gets.
    function test_market_holds_no_money_that_a_stranger_could_take() public {
        enrol(OTHER);
        hold(OTHER, 10);
        for (uint40 number = 1; number <= 3; ++number) {
            offer(SELLER, number, 100);
            buyFor(1 ether, SELLER, number, 100);
            equal(0, address(market).balance, "the market's money");
        }
        equal(3 * cost(100, SERVICE_COST), AGENT.balance, "the distribution agent's money");
        vm.deal(address(market), 1 ether);
        offer(OTHER, 1, 10);
        uint256 needed = cost(10, PRICE) + cost(10, SERVICE_COST);
        vm.expectRevert(abi.encodeWithSelector(Underpaid.selector, needed, needed - 1));
        buyFor(needed - 1, OTHER, 1, 10);
        uint256 before = BUYER.balance;
        buyFor(needed + 5, OTHER, 1, 10);
        equal(before - needed, BUYER.balance, "buyer's money");
        equal(cost(10, PRICE), OTHER.balance, "seller's money");
        equal(1 ether, address(market).balance, "what was forced in");
    }

    /// "After the signature neither side can change the request": neither its terms nor, once concluded, the trade.
    function test_neither_side_changes_a_trade() public {
        offer(SELLER, 1, 400);
        buy(1, 400);
        uint256 seller = SELLER.balance;
        vm.expectRevert(abi.encodeWithSelector(OrderGone.selector, SELLER, 1));
        cancel(SELLER, 1);
        vm.expectRevert(abi.encodeWithSelector(NumberNotRising.selector, SELLER, 1, 1));
        vm.prank(SELLER);
        market.offer(1, 1, 2e15, EXPIRES_AT);
        vm.prank(AGENT);
        market.setServiceCost(9e15);
        vm.prank(AGENT);
        market.setTariff(0, 1);
        equal(seller, SELLER.balance, "seller's money");
        requireStock(STOCK_WH - 400, 400, 0);
    }

    function test_seller_who_calls_again_while_paid_gets_nothing_more() public {
        Reentrant thief = thieving();
        bytes[4] memory attacks = [
            abi.encodeCall(market.cancel, (1)),
            abi.encodeCall(market.buy, (SELLER, 1, 1, PRICE)),
            abi.encodeCall(market.offer, (2, 1, PRICE, EXPIRES_AT)),
            abi.encodeCall(market.redeem, (1))
        ];
        uint256 supply = market.totalSupply();
        for (uint256 i = 0; i < attacks.length; ++i) {
            thief.plan(attacks[i], false);
            buyFor(1 ether, address(thief), 1, 10);
            check(
                keccak256(thief.answer()) == keccak256(abi.encodeWithSelector(Reentered.selector)),
                "answered otherwise"
            );
            equal((i + 1) * cost(10, PRICE), address(thief).balance, "thief's money");
            equal(100 - 10 * (i + 1), left(address(thief), 1), "thief's order");
        }
        equal(900, market.balanceOf(address(thief)), "thief's energy");
        equal(40, market.balanceOf(BUYER), "buyer's energy");
        equal(100 + 60, escrowed(), "escrow");
        equal(supply, market.totalSupply(), "supply");
        equal(FUNDS - 4 * (cost(10, PRICE) + cost(10, SERVICE_COST)), BUYER.balance, "buyer's money");
        equal(0, address(market).balance, "the market's money");
        // The lock is off again.
        thief.plan("", false);
        buyFor(1 ether, SELLER, 1, 1);
    }

    function test_seller_who_insists_sells_nothing() public {
        Reentrant thief = thieving();
        thief.plan(abi.encodeCall(market.cancel, (1)), true);
        vm.expectRevert(abi.encodeWithSelector(PaymentFailed.selector, address(thief), cost(10, PRICE)));
        buyFor(1 ether, address(thief), 1, 10);
        equal(100, left(address(thief), 1), "thief's order");
        equal(FUNDS, BUYER.balance, "buyer's money");
        equal(0, address(thief).balance, "thief's money");
    }

    /// What is not an order's business goes on while a seller is paid, and finds the trade booked.
    function test_seller_may_send_energy_on_while_paid() public {
        Reentrant thief = thieving();
        thief.plan(abi.encodeCall(market.transfer, (OTHER, 900)), true);
        buyFor(1 ether, address(thief), 1, 10);
        equal(0, market.balanceOf(address(thief)), "thief's energy");
        equal(900, market.balanceOf(OTHER), "receiver's energy");
        equal(10, market.balanceOf(BUYER), "buyer's energy");
        equal(100 + 90, escrowed(), "escrow");
    }

    /// @dev A household of 1000 Wh that offers 100 of them, beside a seller who offers 100.
    function thieving() private returns (Reentrant thief) {
        offer(SELLER, 1, 100);
        thief = new Reentrant(market);
        enrol(address(thief));
        hold(address(thief), 1000);
        thief.offers(1, 100, PRICE, EXPIRES_AT);
    }
}
