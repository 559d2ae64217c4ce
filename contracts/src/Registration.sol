// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnergyToken} from "./EnergyToken.sol";
import {HouseholdSlot, TakenInFuture} from "./HouseholdSlot.sol";
import {ZeroAccount} from "./MarketState.sol";
import {Enrolled, Enrolment, Household, Meter} from "./MarketTypes.sol";

/// @notice The account is enrolled already; meters are replaced with `replaceMeter`.
error AlreadyEnrolled(address account);
/// @notice The market itself is no household: its balance is the escrow.
error MarketIsNoHousehold(address account);
/// @notice The account was never enrolled.
error NotEnrolled(address account);
/// @notice A household needs a rated power: it bounds what its readings may say.
error ZeroRatedPower(address account);
/// @notice A meter's identity is missing.
error ZeroMeter(address account, Meter meter);
/// @notice The meter is bound to an account already, so its energy would count twice.
error MeterInUse(bytes32 meterId, address account);
/// @notice The slot counts 255 epochs.
error EpochsExhausted(address account);

/// @title What the registration office does: binds an account to its two meters.
abstract contract Registration is EnergyToken {
    using HouseholdSlot for uint256;

    /// @notice How far a clock may be ahead of the chain's, in seconds.
    uint256 public constant CLOCK_TOLERANCE_S = 60;

    mapping(address account => Enrolled) internal _enrolled;
    /// @notice The account that a meter is bound to.
    mapping(bytes32 meterId => address account) public meterOwner;

    /// @notice A household takes part from now on, from these registers on.
    event HouseholdEnrolled(address indexed account, bytes32 indexed area, Enrolment enrolment);
    /// @notice A household's readings are refused, or accepted again.
    event HouseholdSuspended(address indexed account, bool suspended);
    /// @notice The personal data that the office keeps of a household changed; this hash stands for them from now on.
    event PersonalDataSet(address indexed account, bytes32 personalDataHash);
    /// @notice A meter was replaced or reset; the next readings are of the new epoch.
    /// @param takenAt when, by the chain's clock
    event MeterReplaced(
        address indexed account,
        Meter indexed meter,
        bytes32 meterId,
        uint40 closingWh,
        uint40 openingWh,
        uint8 epoch,
        uint32 takenAt
    );

    /// @notice Binds an account to its meters. Epoch 1 begins, at sequence 0.
    function enrol(Enrolment calldata enrolment) external onlyRole(REGISTRATION_OFFICE) {
        address account = enrolment.account;
        if (account == address(0)) revert ZeroAccount();
        if (account == address(this)) revert MarketIsNoHousehold(account);
        Enrolled storage record = _enrolled[account];
        if (record.ratedPowerW != 0) revert AlreadyEnrolled(account);
        if (enrolment.ratedPowerW == 0) revert ZeroRatedPower(account);
        uint256 latest = block.timestamp + CLOCK_TOLERANCE_S;
        if (enrolment.firstTakenAt > latest) revert TakenInFuture(account, latest, enrolment.firstTakenAt);
        _bindMeter(account, Meter.PRODUCTION, enrolment.productionMeter);
        _bindMeter(account, Meter.CONSUMPTION, enrolment.consumptionMeter);
        record.ratedPowerW = enrolment.ratedPowerW;
        record.enrolledAt = uint32(block.timestamp);
        record.consumedOffsetWh = -int64(uint64(enrolment.firstConsumedWh));
        record.area = enrolment.area;
        record.productionMeter = enrolment.productionMeter;
        record.consumptionMeter = enrolment.consumptionMeter;
        record.personalDataHash = enrolment.personalDataHash;
        // Zeros to begin with: sequence and held seconds stay so.
        // slither-disable-next-line uninitialized-local
        HouseholdSlot.Fields memory fields;
        // The account may hold tokens already: anyone may be sent some.
        fields.tokens = HouseholdSlot.load(uint160(account)).tokens();
        fields.ratedPowerW = enrolment.ratedPowerW;
        fields.epoch = 1;
        fields.takenAt = enrolment.firstTakenAt;
        fields.producedWh = enrolment.firstProducedWh;
        fields.consumedWh = enrolment.firstConsumedWh;
        HouseholdSlot.store(uint160(account), HouseholdSlot.pack(account, fields));
        emit HouseholdEnrolled(account, enrolment.area, enrolment);
    }

    /// @notice Refuses a household's readings, or accepts them again. Its tokens stay its own.
    function suspend(address account, bool suspended) external onlyRole(REGISTRATION_OFFICE) {
        Enrolled storage record = _requireEnrolled(account);
        record.suspended = suspended;
        HouseholdSlot.Fields memory fields = HouseholdSlot.load(uint160(account)).unpack();
        fields.ratedPowerW = suspended ? 0 : record.ratedPowerW;
        HouseholdSlot.store(uint160(account), HouseholdSlot.pack(account, fields));
        emit HouseholdSuspended(account, suspended);
    }

    /// @notice Binds a household to personal data that were edited and approved anew. The data themselves never come here.
    /// @param personalDataHash of the data and a salt that is not on the chain either
    function setPersonalData(address account, bytes32 personalDataHash)
        external
        onlyRole(REGISTRATION_OFFICE)
    {
        _requireEnrolled(account).personalDataHash = personalDataHash;
        emit PersonalDataSet(account, personalDataHash);
    }

    /// @notice Books the old meter up to its closing register and opens the next epoch with the new one's.
    /// @dev Works on a suspended household too. The closing register is held to what a reading is held to. The other
    /// meter's register was not read now, so the time since the last reading counts as held for it; for the new meter too,
    /// which was put in at some time since then and has counted until the office enters it. A register that started again
    /// at 0 is "replaced" by the same meter.
    /// @param meterId the new meter's identity; the old one's for a reset
    /// @param closingWh the old meter's last register; the last one booked where it cannot be read
    /// @param openingWh the new meter's first register
    function replaceMeter(address account, Meter meter, bytes32 meterId, uint40 closingWh, uint40 openingWh)
        external
        onlyRole(REGISTRATION_OFFICE)
    {
        Enrolled storage record = _requireEnrolled(account);
        _rebindMeter(account, record, meter, meterId);
        HouseholdSlot.Fields memory fields = HouseholdSlot.load(uint160(account)).unpack();
        if (fields.epoch == type(uint8).max) revert EpochsExhausted(account);
        bool production = meter == Meter.PRODUCTION;
        // A reading may be up to the clock tolerance ahead of the chain; time never goes back.
        uint256 takenAt = block.timestamp > fields.takenAt ? block.timestamp : fields.takenAt;
        uint256 elapsed = takenAt - fields.takenAt;
        uint256 lastWh = production ? fields.producedWh : fields.consumedWh;
        uint256 unreadS = elapsed + (production ? fields.productionHeldS : fields.consumptionHeldS);
        HouseholdSlot.requirePlausible(
            HouseholdSlot.Register(account, meter, lastWh, closingWh, unreadS),
            record.ratedPowerW,
            HouseholdSlot.TOLERANCE_WH
        );
        fields.epoch += 1;
        fields.sequence = 0;
        fields.takenAt = takenAt;
        fields.productionHeldS =
            HouseholdSlot.saturate(production ? elapsed : fields.productionHeldS + elapsed);
        fields.consumptionHeldS =
            HouseholdSlot.saturate(production ? fields.consumptionHeldS + elapsed : elapsed);
        if (production) {
            fields.producedWh = openingWh;
        } else {
            record.consumedOffsetWh += int64(uint64(closingWh)) - int64(uint64(openingWh));
            fields.consumedWh = openingWh;
        }
        HouseholdSlot.store(uint160(account), HouseholdSlot.pack(account, fields));
        if (production && closingWh != lastWh) _mint(account, closingWh - lastWh);
        emit MeterReplaced(
            account, meter, meterId, closingWh, openingWh, uint8(fields.epoch), uint32(takenAt)
        );
    }

    /// @notice All that the market knows of an account; zeros for one that it does not know.
    function household(address account) external view returns (Household memory) {
        HouseholdSlot.Fields memory fields = HouseholdSlot.load(uint160(account)).unpack();
        Enrolled memory record = _enrolled[account];
        return Household({
            enrolled: record.ratedPowerW != 0,
            active: fields.ratedPowerW != 0,
            epoch: uint8(fields.epoch),
            sequence: uint24(fields.sequence),
            takenAt: uint32(fields.takenAt),
            producedWh: uint40(fields.producedWh),
            consumedWh: uint40(fields.consumedWh),
            tokensWh: uint40(fields.tokens),
            productionHeldS: uint24(fields.productionHeldS),
            consumptionHeldS: uint24(fields.consumptionHeldS),
            record: record
        });
    }

    /// @dev What was consumed since enrolment, over all epochs, less what was redeemed; nothing if never enrolled.
    function _redeemable(address account, uint256 slot) internal view returns (uint256) {
        Enrolled storage record = _enrolled[account];
        int256 consumedWh = int256(slot.consumedWh()) + record.consumedOffsetWh;
        return uint256(consumedWh) - record.redeemedWh;
    }

    function _requireEnrolled(address account) private view returns (Enrolled storage record) {
        record = _enrolled[account];
        if (record.ratedPowerW == 0) revert NotEnrolled(account);
    }

    function _bindMeter(address account, Meter meter, bytes32 meterId) private {
        if (meterId == 0) revert ZeroMeter(account, meter);
        if (meterOwner[meterId] != address(0)) revert MeterInUse(meterId, meterOwner[meterId]);
        meterOwner[meterId] = account;
    }

    function _rebindMeter(address account, Enrolled storage record, Meter meter, bytes32 meterId) private {
        if (meter == Meter.PRODUCTION) {
            delete meterOwner[record.productionMeter];
            record.productionMeter = meterId;
        } else {
            delete meterOwner[record.consumptionMeter];
            record.consumptionMeter = meterId;
        }
        _bindMeter(account, meter, meterId);
    }
}
