// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MarketTest, Vm} from "./Vm.sol";

/// @dev A market with a seller who has energy, a buyer who has money, and a few words for trades.
abstract contract TradingTest is MarketTest {
    address internal constant SELLER = address(0x5E11E2);
    address internal constant BUYER = address(0xB0B);
    address internal constant STRANGER = address(0x57A6);
    uint40 internal constant STOCK_WH = 1000;
    uint40 internal constant CONSUMED_WH = 500;
    /// @dev Within the tariff, and no multiple of a thousand: its parts have to be rounded.
    uint80 internal constant PRICE = 1.5e15 + 1;
    uint96 internal constant SERVICE_COST = 1e15;
    uint256 internal constant FUNDS = 100 ether;
    uint32 internal constant EXPIRES_AT = START + 5000;

    function setUp() public virtual override {
        super.setUp();
        enrol(SELLER);
        enrol(BUYER);
        vm.warp(START + 900);
        report(SELLER, reading(1, STOCK_WH, CONSUMED_WH));
        report(BUYER, reading(1, 0, CONSUMED_WH));
        vm.deal(BUYER, FUNDS);
    }

    function offer(address seller, uint40 number, uint40 energyWh) internal {
        vm.prank(seller);
        market.offer(number, energyWh, PRICE, EXPIRES_AT);
    }

    function cancel(address seller, uint40 number) internal {
        vm.prank(seller);
        market.cancel(number);
    }

    /// @dev Buys from the seller at the known price for what it costs.
    function buy(uint40 number, uint40 energyWh) internal {
        buyFor(cost(energyWh, PRICE) + cost(energyWh, SERVICE_COST), SELLER, number, energyWh);
    }

    function buyFor(uint256 value, address seller, uint40 number, uint40 energyWh) internal {
        vm.prank(BUYER);
        market.buy{value: value}(seller, number, energyWh, PRICE);
    }

    function redeem(address household, uint40 energyWh) internal {
        vm.prank(household);
        market.redeem(energyWh);
    }

    function suspend(address household, bool suspended) internal {
        vm.prank(OFFICE);
        market.suspend(household, suspended);
    }

    function pause(bool paused) internal {
        vm.prank(AGENT);
        market.pause(paused);
    }

    /// @dev Energy from nowhere: more than a meter could count while a test lasts. The supply does not know of it.
    function hold(address household, uint40 energyWh) internal {
        bytes32 key = bytes32((1 << 160) + uint256(uint160(household)));
        uint256 slot = uint256(vm.load(address(market), key)) & ((1 << 216) - 1);
        vm.store(address(market), key, bytes32(slot | (uint256(energyWh) << 216)));
    }

    /// @dev Deliberately not the contract's arithmetic.
    function cost(uint256 energyWh, uint256 weiPerKWh) internal pure returns (uint256 total) {
        total = energyWh * weiPerKWh / 1000;
        if (energyWh * weiPerKWh % 1000 != 0) ++total;
    }

    function left(address seller, uint40 number) internal view returns (uint256) {
        return market.order(seller, number).energyWh;
    }

    function escrowed() internal view returns (uint256) {
        return market.balanceOf(address(market));
    }

    /// @dev Balances are all the energy there is, in escrow or not.
    function requireStock(uint256 seller, uint256 buyer, uint256 escrow) internal view {
        equal(seller, market.balanceOf(SELLER), "seller's energy");
        equal(buyer, market.balanceOf(BUYER), "buyer's energy");
        equal(escrow, escrowed(), "energy in escrow");
        equal(seller + buyer + escrow, market.totalSupply(), "supply");
    }

    function requireTransfer(Vm.Log memory log, address from, address to, uint256 energyWh) internal pure {
        check(log.topics[0] == keccak256("Transfer(address,address,uint256)"), "no Transfer");
        equal(uint160(from), uint256(log.topics[1]), "from");
        equal(uint160(to), uint256(log.topics[2]), "to");
        equal(energyWh, abi.decode(log.data, (uint256)), "energy moved");
    }
}
