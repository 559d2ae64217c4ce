// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The words that callers of the market use. Energy is in Wh, power in W, time in UTC epoch seconds,
/// money in wei of the chain's settlement unit.

/// @notice Which of a household's two meters.
enum Meter {
    PRODUCTION,
    CONSUMPTION
}

/// @notice What the registration office binds to an account.
/// @param account the household's Ethereum account
/// @param ratedPowerW what the connection can carry, in either direction
/// @param firstTakenAt when the first registers were read
/// @param firstProducedWh the production meter's register at `firstTakenAt`
/// @param firstConsumedWh the consumption meter's register at `firstTakenAt`
/// @param area the distribution area
/// @param productionMeter hash of the production meter's serial number
/// @param consumptionMeter hash of the consumption meter's serial number
/// @param personalDataHash salted hash of the personal data, which stay with the office
struct Enrolment {
    address account;
    uint24 ratedPowerW;
    uint32 firstTakenAt;
    uint40 firstProducedWh;
    uint40 firstConsumedWh;
    bytes32 area;
    bytes32 productionMeter;
    bytes32 consumptionMeter;
    bytes32 personalDataHash;
}

/// @notice What is on record of an account and no report touches.
/// @param ratedPowerW the rating, kept here also while suspended; 0 means never enrolled
/// @param enrolledAt when the office enrolled it
/// @param suspended whether the office suspended it
/// @param redeemedWh tokens burned against its consumption
/// @param consumedOffsetWh with the consumption register it makes what was consumed since enrolment, over all epochs
struct Enrolled {
    uint24 ratedPowerW;
    uint32 enrolledAt;
    bool suspended;
    uint64 redeemedWh;
    int64 consumedOffsetWh;
    bytes32 area;
    bytes32 productionMeter;
    bytes32 consumptionMeter;
    bytes32 personalDataHash;
}

/// @notice The market's parameters.
/// @param serviceCostWeiPerKWh the distribution company's charge for carrying a kWh
/// @param reportingPeriodS the length of an interval
/// @param feedInWeiPerKWh what the company pays for a kWh fed in; no trade is sensible below it
/// @param retailWeiPerKWh what the company asks for a kWh; no trade is sensible above it
struct Parameters {
    uint96 serviceCostWeiPerKWh;
    uint32 reportingPeriodS;
    uint80 feedInWeiPerKWh;
    uint80 retailWeiPerKWh;
}

/// @notice What money is called on screens; the market itself counts wei.
/// @param name of the chain's settlement unit
/// @param symbol of the unit
/// @param decimals how many decimal digits a wei lies below the unit
struct Settlement {
    string name;
    string symbol;
    uint8 decimals;
}

/// @notice An order as it stands.
/// @param seller who offers
/// @param number the seller's own
/// @param energyWh what is left; 0 if there is no such order, or it is over
/// @param priceWeiPerKWh its price
/// @param expiresAt from when on nobody can buy
struct Order {
    address seller;
    uint40 number;
    uint40 energyWh;
    uint80 priceWeiPerKWh;
    uint32 expiresAt;
}

/// @notice A reading and its household's EIP-712 signature in the compact form of EIP-2098.
/// @dev The household is not named: it is whoever signed. That saves 330 gas of calldata per reading.
/// @param reading the packed reading (see HouseholdSlot)
/// @param r the signature's r
/// @param vs the signature's s, and its parity in the highest bit
struct SignedReading {
    uint256 reading;
    bytes32 r;
    bytes32 vs;
}

/// @notice All that the market knows of an account.
struct Household {
    bool enrolled;
    bool active;
    uint8 epoch;
    uint24 sequence;
    uint32 takenAt;
    uint40 producedWh;
    uint40 consumedWh;
    uint40 tokensWh;
    uint24 productionHeldS;
    uint24 consumptionHeldS;
    Enrolled record;
}
