// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Parameters, Settlement} from "./MarketTypes.sol";

/// @notice The distribution agent has paused the market.
error MarketPaused();
/// @notice A reporting period outside the bounds.
error PeriodOutOfBounds(uint32 minimumS, uint32 maximumS, uint32 gotS);
/// @notice The feed-in tariff is above the retail tariff: no price would suit both sides.
error TariffInverted(uint80 feedInWeiPerKWh, uint80 retailWeiPerKWh);
/// @notice An account that must be named is the zero address.
error ZeroAccount();

/// @title Roles, and the parameters that the distribution agent sets.
abstract contract MarketState is AccessControl {
    /// @notice Enrols households and replaces their meters.
    bytes32 public constant REGISTRATION_OFFICE = keccak256("REGISTRATION_OFFICE");
    /// @notice Sets the market's parameters.
    bytes32 public constant DISTRIBUTION_AGENT = keccak256("DISTRIBUTION_AGENT");

    /// @notice The shortest reporting period, in seconds.
    uint32 public constant SHORTEST_PERIOD_S = 1;
    /// @notice The longest reporting period, in seconds.
    uint32 public constant LONGEST_PERIOD_S = 1 days;

    /// @dev One slot: with the household's own it is all that a report touches, and a trade needs no other for its books.
    /// `locked` is set while the market pays.
    struct Ledger {
        uint64 supplyWh;
        bool paused;
        uint32 reportingPeriodS;
        uint64 escrowedWh;
        uint40 trades;
        bool locked;
    }

    /// @dev One slot, read by `offer`.
    struct Tariff {
        uint80 feedInWeiPerKWh;
        uint80 retailWeiPerKWh;
    }

    /// @dev One slot, read by `buy`.
    struct Service {
        uint96 serviceCostWeiPerKWh;
        address receiver;
    }

    Ledger internal _ledger;
    Tariff internal _tariff;
    Service internal _service;
    Settlement private _settlement;

    /// @notice What carrying a kWh costs from now on.
    event ServiceCostSet(uint96 weiPerKWh);
    /// @notice Who receives the service cost from now on.
    // The market has one, whom nobody has to look for.
    // slither-disable-next-line unindexed-event-address
    event ServiceCostReceiverSet(address receiver);
    /// @notice The length of intervals from the next one on.
    event ReportingPeriodSet(uint32 periodS);
    /// @notice The band in which trades make sense from now on.
    event TariffSet(uint80 feedInWeiPerKWh, uint80 retailWeiPerKWh);
    /// @notice Reports, transfers, orders and trades stop, or go on.
    event PauseSet(bool paused);

    constructor(
        address admin,
        address registrationOffice,
        address distributionAgent,
        Parameters memory initial,
        Settlement memory unit
    ) {
        if (admin == address(0) || registrationOffice == address(0) || distributionAgent == address(0)) {
            revert ZeroAccount();
        }
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(REGISTRATION_OFFICE, registrationOffice);
        _grantRole(DISTRIBUTION_AGENT, distributionAgent);
        _setServiceCost(initial.serviceCostWeiPerKWh);
        _setReportingPeriod(initial.reportingPeriodS);
        _setTariff(initial.feedInWeiPerKWh, initial.retailWeiPerKWh);
        _setServiceCostReceiver(distributionAgent);
        _settlement = unit;
    }

    /// @notice Sets what the distribution company takes for carrying a kWh.
    function setServiceCost(uint96 weiPerKWh) external onlyRole(DISTRIBUTION_AGENT) {
        _setServiceCost(weiPerKWh);
    }

    /// @notice Sets who receives the service cost of each trade. An account that refuses money stops all trades.
    function setServiceCostReceiver(address receiver) external onlyRole(DISTRIBUTION_AGENT) {
        _setServiceCostReceiver(receiver);
    }

    /// @notice Sets the length of intervals, in seconds; agents follow it by themselves.
    function setReportingPeriod(uint32 periodS) external onlyRole(DISTRIBUTION_AGENT) {
        _setReportingPeriod(periodS);
    }

    /// @notice Sets both ends of the band in which trades make sense, in wei per kWh.
    function setTariff(uint80 feedInWeiPerKWh, uint80 retailWeiPerKWh) external onlyRole(DISTRIBUTION_AGENT) {
        _setTariff(feedInWeiPerKWh, retailWeiPerKWh);
    }

    /// @notice Stops reports, transfers, orders and trades, or lets them go on. Registers keep counting: no energy is lost by a pause.
    function pause(bool paused_) external onlyRole(DISTRIBUTION_AGENT) {
        _ledger.paused = paused_;
        emit PauseSet(paused_);
    }

    /// @notice The parameters in force.
    function parameters() external view returns (Parameters memory) {
        return Parameters({
            serviceCostWeiPerKWh: _service.serviceCostWeiPerKWh,
            reportingPeriodS: _ledger.reportingPeriodS,
            feedInWeiPerKWh: _tariff.feedInWeiPerKWh,
            retailWeiPerKWh: _tariff.retailWeiPerKWh
        });
    }

    /// @notice Who receives the service cost of each trade.
    function serviceCostReceiver() external view returns (address) {
        return _service.receiver;
    }

    /// @notice What money is called on screens.
    function settlement() external view returns (Settlement memory) {
        return _settlement;
    }

    /// @notice Whether reports, transfers, orders and trades are stopped.
    function paused() external view returns (bool) {
        return _ledger.paused;
    }

    function _setServiceCost(uint96 weiPerKWh) private {
        _service.serviceCostWeiPerKWh = weiPerKWh;
        emit ServiceCostSet(weiPerKWh);
    }

    function _setServiceCostReceiver(address receiver) private {
        if (receiver == address(0)) revert ZeroAccount();
        _service.receiver = receiver;
        emit ServiceCostReceiverSet(receiver);
    }

    function _setReportingPeriod(uint32 periodS) private {
        if (periodS < SHORTEST_PERIOD_S || periodS > LONGEST_PERIOD_S) {
            revert PeriodOutOfBounds(SHORTEST_PERIOD_S, LONGEST_PERIOD_S, periodS);
        }
        _ledger.reportingPeriodS = periodS;
        emit ReportingPeriodSet(periodS);
    }

    function _setTariff(uint80 feedInWeiPerKWh, uint80 retailWeiPerKWh) private {
        if (feedInWeiPerKWh > retailWeiPerKWh) revert TariffInverted(feedInWeiPerKWh, retailWeiPerKWh);
        _tariff = Tariff(feedInWeiPerKWh, retailWeiPerKWh);
        emit TariffSet(feedInWeiPerKWh, retailWeiPerKWh);
    }
}
