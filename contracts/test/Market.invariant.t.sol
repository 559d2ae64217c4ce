// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Traders} from "./Traders.sol";
import {MarketTest} from "./Vm.sol";

/// @dev What holds of the market, whatever its households do.
contract MarketInvariantTest is MarketTest {
    Traders private traders;

    function setUp() public override {
        super.setUp();
        traders = new Traders(market);
    }

    /// @dev forge asks this for the contracts to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(traders);
    }

    function invariant_no_energy_appears_or_vanishes() public view {
        equal(traders.producedWh() - traders.redeemedInAllWh(), market.totalSupply(), "supply");
        uint256 held = 0;
        for (uint256 i = 0; i < traders.COUNT(); ++i) {
            held += market.balanceOf(traders.account(i));
        }
        uint256 escrow = market.balanceOf(address(market));
        equal(market.totalSupply(), held + escrow, "sum of balances and escrow");
        equal(traders.requireOrders(), escrow, "what is left of all orders");
    }

    function invariant_payments_in_are_payments_out() public view {
        uint256 sum = AGENT.balance;
        for (uint256 i = 0; i < traders.COUNT(); ++i) {
            address home = traders.account(i);
            equal(traders.money(home), home.balance, "a household's money");
            sum += home.balance;
        }
        equal(traders.servedWei(), AGENT.balance, "service costs");
        equal(0, address(market).balance, "the market's money");
        equal(traders.COUNT() * traders.FUNDS(), sum, "all money");
    }

    function invariant_slots_say_what_was_last_reported() public view {
        for (uint256 i = 0; i < traders.COUNT(); ++i) {
            address home = traders.account(i);
            uint256 slot = uint256(vm.load(address(market), bytes32((1 << 160) + uint256(uint160(home)))));
            equal(traders.last(home), slot & ((1 << 144) - 1), "last reading");
            equal(RATED_W, (slot >> 192) & 0xffffff, "rating");
            equal(traders.consumedWh(home) - traders.redeemedWh(home), market.redeemable(home), "redeemable");
        }
    }
}
