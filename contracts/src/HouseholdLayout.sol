// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev Where households' slots begin: a household's key is this and its account.
uint256 constant HOUSEHOLD_SLOTS = 1 << 160;

/// @notice A household's slot, declared for the compiler: it, and nobody by hand, says at which bits each field lies.
struct HouseholdFields {
    uint40 consumedWh;
    uint40 producedWh;
    uint32 takenAt;
    uint24 sequence;
    uint8 epoch;
    uint24 productionHeldS;
    uint24 consumptionHeldS;
    uint24 ratedPowerW;
    uint40 tokensWh;
}

/// @title Where a household's slot lies and what is in it, as light nodes are told it.
/// @notice Never deployed. `build.mjs` writes its storage layout into the market's artifact; a fuzz test holds
/// `HouseholdSlot`, which packs the word by hand, against it.
contract HouseholdLayout layout at HOUSEHOLD_SLOTS {
    /// @notice The slot of account 0; another account's key is higher by the account.
    HouseholdFields public household;
}
