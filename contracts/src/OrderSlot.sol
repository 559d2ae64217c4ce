// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ORDER_SLOTS} from "./OrderLayout.sol";

/// @title The one storage slot that an order takes.
/// @notice
/// | bits    | field                                      |
/// |---------|--------------------------------------------|
/// | 0..39   | energyWh: what is left; 0 when it is over  |
/// | 40..71  | expiresAt                                  |
/// | 72..151 | priceWeiPerKWh                             |
/// | 152..191| number                                     |
/// | 192..255| 0                                          |
///
/// A seller has 256 places, and an order lies in the place that its number names, modulo. When an order is over its energy
/// is 0 and its number stays: so a number is never used twice, a seller's storage is bounded, and the next order in the place
/// costs 5,000 gas, not 22,100.
/// @dev The slot's key is 2^240 + 256 × seller + place, not a mapping's hash: 60 gas cheaper. Such keys lie in
/// [2^240, 2^240 + 2^168). The compiler's own are below 2^160, and households' below 2^161. A hashed key of another variable
/// is there once in 2^88 times, and even then it is another order's only if its 168 low bits name an enrolled household and
/// a place of its: to meet one of n households takes 2^248 / n hashes, which is breaking Keccak.
library OrderSlot {
    uint256 private constant M32 = 0xffffffff;
    uint256 private constant M40 = 0xffffffffff;
    uint256 private constant M80 = 0xffffffffffffffffffff;

    /// @notice Reads the slot of a seller's place.
    function load(address seller, uint256 number_) internal view returns (uint256 slot) {
        uint256 key = _key(seller, number_);
        assembly ("memory-safe") {
            slot := sload(key)
        }
    }

    /// @notice Writes the slot of a seller's place.
    function store(address seller, uint256 number_, uint256 slot) internal {
        uint256 key = _key(seller, number_);
        assembly ("memory-safe") {
            sstore(key, slot)
        }
    }

    /// @notice Makes a slot of an order's terms.
    function pack(uint40 number_, uint40 energyWh_, uint80 priceWeiPerKWh_, uint32 expiresAt_)
        internal
        pure
        returns (uint256)
    {
        return uint256(energyWh_) | (uint256(expiresAt_) << 40) | (uint256(priceWeiPerKWh_) << 72)
            | (uint256(number_) << 152);
    }

    /// @notice What is left, in Wh.
    function energyWh(uint256 slot) internal pure returns (uint256) {
        return slot & M40;
    }

    /// @notice From when on nobody can buy.
    function expiresAt(uint256 slot) internal pure returns (uint256) {
        return (slot >> 40) & M32;
    }

    /// @notice The price, in wei per kWh.
    function priceWeiPerKWh(uint256 slot) internal pure returns (uint256) {
        return (slot >> 72) & M80;
    }

    /// @notice The seller's number for it.
    function number(uint256 slot) internal pure returns (uint256) {
        return slot >> 152;
    }

    function _key(address seller, uint256 number_) private pure returns (uint256) {
        return ORDER_SLOTS | (uint256(uint160(seller)) << 8) | (number_ & 0xff);
    }
}
