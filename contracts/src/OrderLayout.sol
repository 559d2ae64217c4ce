// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev Where orders' slots begin: an order's key is this, 256 times its seller's account, and its place.
uint256 constant ORDER_SLOTS = 1 << 240;

/// @notice An order's slot, declared for the compiler: it, and nobody by hand, says at which bits each field lies.
struct OrderFields {
    uint40 energyWh;
    uint32 expiresAt;
    uint80 priceWeiPerKWh;
    uint40 number;
}

/// @title Where a seller's orders lie and what is in their slots, as light nodes are told it.
/// @notice Never deployed. `build.mjs` writes its storage layout into the market's artifact; a fuzz test holds
/// `OrderSlot`, which packs the word by hand, against it.
contract OrderLayout layout at ORDER_SLOTS {
    /// @notice The places of account 0; another account's begin higher by the account times their number.
    OrderFields[256] public orders;
}
