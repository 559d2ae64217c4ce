// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ORDER_SLOTS, OrderFields, OrderLayout} from "../src/OrderLayout.sol";
import {OrderSlot} from "../src/OrderSlot.sol";
import {MarketTest} from "./Vm.sol";

/// @dev The library over a storage of its own.
contract OrderHarness {
    function loaded(address seller, uint256 number) external view returns (uint256) {
        return OrderSlot.load(seller, number);
    }
}

/// @dev What the compiler's accessor of the declared places returns: the same four fields.
interface Declared {
    function orders(uint256 place) external view returns (OrderFields memory);
}

contract OrderSlotTest is MarketTest {
    OrderHarness private harness;

    function setUp() public override {
        harness = new OrderHarness();
    }

    /// What is packed by hand lies where the compiler lays the declared fields: for any bits at all, in any place.
    function testFuzz_fields_lie_where_the_compiler_lays_them(uint192 slot, uint8 place) public {
        OrderLayout declared = new OrderLayout();
        vm.store(address(declared), bytes32(ORDER_SLOTS + place), bytes32(uint256(slot)));
        OrderFields memory got = Declared(address(declared)).orders(place);
        equal(got.energyWh, OrderSlot.energyWh(slot), "energyWh");
        equal(got.expiresAt, OrderSlot.expiresAt(slot), "expiresAt");
        equal(got.priceWeiPerKWh, OrderSlot.priceWeiPerKWh(slot), "priceWeiPerKWh");
        equal(got.number, OrderSlot.number(slot), "number");
        equal(slot, OrderSlot.pack(got.number, got.energyWh, got.priceWeiPerKWh, got.expiresAt), "slot");
    }

    /// The key that the library uses is that of the declared places and the account times their number.
    function testFuzz_an_order_has_its_sellers_key(address seller, uint40 number, uint256 slot) public {
        uint256 key = ORDER_SLOTS + 256 * uint256(uint160(seller)) + number % 256;
        vm.store(address(harness), bytes32(key), bytes32(slot));
        equal(slot, harness.loaded(seller, number), "slot");
    }
}
