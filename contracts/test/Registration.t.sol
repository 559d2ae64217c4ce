// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {EnergyMarket} from "../src/EnergyMarket.sol";
import {ImpossibleEnergy, RegisterFell, TakenInFuture, UnexpectedEpoch} from "../src/HouseholdSlot.sol";
import {MarketPaused, PeriodOutOfBounds, TariffInverted, ZeroAccount} from "../src/MarketState.sol";
import {Enrolment, Household, Meter, Parameters, Settlement} from "../src/MarketTypes.sol";
import {
    AlreadyEnrolled,
    EpochsExhausted,
    MeterInUse,
    NotEnrolled,
    ZeroMeter,
    ZeroRatedPower
} from "../src/Registration.sol";
import {MarketTest, Vm} from "./Vm.sol";

contract RegistrationTest is MarketTest {
    address private constant HOME = address(0x40E);
    address private constant NEIGHBOUR = address(0x40F);

    function setUp() public override {
        super.setUp();
        enrol(HOME);
        vm.warp(START + 900);
    }

    function test_enrolment_is_on_record() public view {
        Household memory h = market.household(HOME);
        Enrolment memory e = enrolment(HOME);
        check(h.enrolled && h.active && !h.record.suspended, "enrolled and active");
        equal(1, h.epoch, "epoch");
        equal(0, h.sequence, "sequence");
        equal(START, h.takenAt, "takenAt");
        equal(FIRST_PRODUCED, h.producedWh, "produced");
        equal(FIRST_CONSUMED, h.consumedWh, "consumed");
        equal(RATED_W, h.record.ratedPowerW, "rating");
        equal(START, h.record.enrolledAt, "enrolledAt");
        check(h.record.area == e.area && h.record.personalDataHash == e.personalDataHash, "area and hash");
        check(
            market.meterOwner(e.productionMeter) == HOME && market.meterOwner(e.consumptionMeter) == HOME,
            "meters"
        );
        check(!market.household(NEIGHBOUR).enrolled, "nobody else");
    }

    function test_enrolment_is_checked() public {
        refuseEnrolment(enrolment(HOME), abi.encodeWithSelector(AlreadyEnrolled.selector, HOME));
        refuseEnrolment(enrolment(address(0)), abi.encodeWithSelector(ZeroAccount.selector));
        Enrolment memory e = enrolment(NEIGHBOUR);
        e.ratedPowerW = 0;
        refuseEnrolment(e, abi.encodeWithSelector(ZeroRatedPower.selector, NEIGHBOUR));
        e = enrolment(NEIGHBOUR);
        e.productionMeter = 0;
        refuseEnrolment(e, abi.encodeWithSelector(ZeroMeter.selector, NEIGHBOUR, Meter.PRODUCTION));
        e.productionMeter = enrolment(HOME).consumptionMeter;
        refuseEnrolment(e, abi.encodeWithSelector(MeterInUse.selector, e.productionMeter, HOME));
        e = enrolment(NEIGHBOUR);
        e.consumptionMeter = e.productionMeter;
        refuseEnrolment(e, abi.encodeWithSelector(MeterInUse.selector, e.productionMeter, NEIGHBOUR));
        e = enrolment(NEIGHBOUR);
        e.firstTakenAt = START + 961;
        refuseEnrolment(
            e, abi.encodeWithSelector(TakenInFuture.selector, NEIGHBOUR, START + 960, START + 961)
        );
    }

    function test_tokens_held_before_enrolment_stay() public {
        report(HOME, reading(1, 100, 0));
        vm.prank(HOME);
        check(market.transfer(NEIGHBOUR, 40), "transfer");
        enrol(NEIGHBOUR);
        equal(40, market.balanceOf(NEIGHBOUR), "tokens");
        vm.prank(OFFICE);
        market.suspend(NEIGHBOUR, true);
        equal(40, market.balanceOf(NEIGHBOUR), "tokens of a suspended household");
    }

    function test_only_roles_may() public {
        bytes32 office = market.REGISTRATION_OFFICE();
        bytes32 agent = market.DISTRIBUTION_AGENT();
        refuseRole(office, abi.encodeCall(market.enrol, (enrolment(NEIGHBOUR))));
        refuseRole(office, abi.encodeCall(market.suspend, (HOME, true)));
        refuseRole(office, abi.encodeCall(market.replaceMeter, (HOME, Meter.PRODUCTION, "new", 0, 0)));
        refuseRole(office, abi.encodeCall(market.setPersonalData, (HOME, bytes32(uint256(1)))));
        refuseRole(agent, abi.encodeCall(market.setServiceCost, (1)));
        refuseRole(agent, abi.encodeCall(market.setServiceCostReceiver, (HOME)));
        refuseRole(agent, abi.encodeCall(market.setReportingPeriod, (60)));
        refuseRole(agent, abi.encodeCall(market.setTariff, (1, 2)));
        refuseRole(agent, abi.encodeCall(market.pause, (true)));
    }

    function test_edited_personal_data_change_their_hash_and_nothing_else() public {
        Household memory before = market.household(HOME);
        bytes32 edited = keccak256("a salt and edited data");
        vm.prank(OFFICE);
        market.setPersonalData(HOME, edited);
        Household memory h = market.household(HOME);
        check(h.record.personalDataHash == edited, "hash");
        before.record.personalDataHash = edited;
        check(keccak256(abi.encode(before)) == keccak256(abi.encode(h)), "nothing else");
        // A suspended household may move house or name too.
        vm.prank(OFFICE);
        market.suspend(HOME, true);
        vm.prank(OFFICE);
        market.setPersonalData(HOME, bytes32(0));
        h = market.household(HOME);
        check(h.record.personalDataHash == 0 && h.record.suspended && !h.active, "suspended");
    }

    function test_personal_data_are_set_for_the_enrolled_alone() public {
        vm.prank(OFFICE);
        vm.expectRevert(abi.encodeWithSelector(NotEnrolled.selector, NEIGHBOUR));
        market.setPersonalData(NEIGHBOUR, bytes32(uint256(1)));
    }

    function test_replaced_production_meter_is_booked_to_its_end() public {
        replace(Meter.PRODUCTION, "new", FIRST_PRODUCED + 500, 7);
        Household memory h = market.household(HOME);
        equal(500, market.balanceOf(HOME), "tokens");
        equal(500, market.totalSupply(), "supply");
        equal(2, h.epoch, "epoch");
        equal(0, h.sequence, "sequence");
        equal(START + 900, h.takenAt, "takenAt");
        equal(7, h.producedWh, "new register");
        equal(FIRST_CONSUMED, h.consumedWh, "the other register");
        equal(900, h.productionHeldS, "put in since the last reading");
        equal(900, h.consumptionHeldS, "not read now");
        check(h.record.productionMeter == "new", "meter");
        check(market.meterOwner(enrolment(HOME).productionMeter) == address(0), "the old meter is free");
        // The first reading of the new epoch may carry what the other meter counted meanwhile: twice 900 s.
        vm.warp(START + 1800);
        refuse(HOME, reading(2, 0, 0), abi.encodeWithSelector(UnexpectedEpoch.selector, HOME, 2, 1));
        report(HOME, pack(2, 1, START + 1800, 8, FIRST_CONSUMED + 2 * 1375));
        equal(501, market.balanceOf(HOME), "tokens");
    }

    function test_replaced_consumption_meter_mints_nothing() public {
        replace(Meter.CONSUMPTION, "new", FIRST_CONSUMED + 500, 0);
        Household memory h = market.household(HOME);
        equal(0, market.totalSupply(), "supply");
        equal(0, h.consumedWh, "new register");
        equal(FIRST_PRODUCED, h.producedWh, "the other register");
        equal(900, h.productionHeldS, "not read now");
    }

    function test_closing_register_is_held_to_what_a_reading_is() public {
        uint40 most = MOST_IN_900_S;
        vm.expectRevert(
            abi.encodeWithSelector(ImpossibleEnergy.selector, HOME, Meter.PRODUCTION, most, most + 1)
        );
        replace(Meter.PRODUCTION, "new", FIRST_PRODUCED + most + 1, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                RegisterFell.selector, HOME, Meter.CONSUMPTION, FIRST_CONSUMED, FIRST_CONSUMED - 1
            )
        );
        replace(Meter.CONSUMPTION, "new", FIRST_CONSUMED - 1, 0);
    }

    /// The office enters a meter days after it was put in: what it has counted since is plausible over those days.
    function test_new_meter_may_have_counted_since_the_last_reading() public {
        report(HOME, reading(1, 0, 0));
        vm.warp(START + 900 + 3 days);
        vm.prank(OFFICE);
        market.replaceMeter(HOME, Meter.PRODUCTION, "new", FIRST_PRODUCED, 0);
        uint256 gainWh = uint256(RATED_W) * 3 * 24;
        vm.warp(START + 1800 + 3 days);
        report(HOME, pack(2, 1, START + 1800 + 3 days, gainWh, FIRST_CONSUMED));
        equal(gainWh, market.balanceOf(HOME), "tokens");
        uint40 most = MOST_IN_900_S;
        bytes memory why =
            abi.encodeWithSelector(ImpossibleEnergy.selector, HOME, Meter.PRODUCTION, most, most + 1);
        vm.warp(START + 2700 + 3 days);
        refuse(HOME, pack(2, 2, START + 2700 + 3 days, gainWh + most + 1, FIRST_CONSUMED), why);
    }

    function test_reset_suspended_and_ahead() public {
        // The reading is 60 s ahead of the chain; the meter's register starts again at 0; the household is suspended.
        vm.warp(START + 840);
        report(HOME, reading(1, 100, 0));
        vm.prank(OFFICE);
        market.suspend(HOME, true);
        vm.prank(AGENT);
        market.pause(true); // the office may go on with its work
        replace(Meter.PRODUCTION, enrolment(HOME).productionMeter, FIRST_PRODUCED + 110, 0);
        Household memory h = market.household(HOME);
        equal(START + 900, h.takenAt, "takenAt");
        equal(110, h.tokensWh, "tokens");
        check(!h.active && h.record.suspended, "still suspended");
    }

    function test_replacement_is_checked() public {
        vm.expectRevert(abi.encodeWithSelector(NotEnrolled.selector, NEIGHBOUR));
        vm.prank(OFFICE);
        market.replaceMeter(NEIGHBOUR, Meter.PRODUCTION, "new", 0, 0);
        vm.expectRevert(abi.encodeWithSelector(MeterInUse.selector, enrolment(HOME).consumptionMeter, HOME));
        replace(Meter.PRODUCTION, enrolment(HOME).consumptionMeter, FIRST_PRODUCED, 0);
        for (uint256 i = 1; i < 255; ++i) {
            replace(Meter.CONSUMPTION, bytes32(i), FIRST_CONSUMED, FIRST_CONSUMED);
        }
        vm.expectRevert(abi.encodeWithSelector(EpochsExhausted.selector, HOME));
        replace(Meter.CONSUMPTION, "last", FIRST_CONSUMED, FIRST_CONSUMED);
    }

    function test_parameters_follow_the_agent() public {
        vm.prank(AGENT);
        market.setServiceCost(5);
        vm.prank(AGENT);
        market.setReportingPeriod(60);
        vm.prank(AGENT);
        market.setTariff(6, 6);
        equal(uint160(AGENT), uint160(market.serviceCostReceiver()), "receiver at deployment");
        vm.recordLogs();
        vm.prank(AGENT);
        market.setServiceCostReceiver(NEIGHBOUR);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(1, logs.length, "logs");
        check(logs[0].topics[0] == keccak256("ServiceCostReceiverSet(address)"), "no ServiceCostReceiverSet");
        check(abi.decode(logs[0].data, (address)) == NEIGHBOUR, "receiver in the event");
        equal(uint160(NEIGHBOUR), uint160(market.serviceCostReceiver()), "receiver");
        Parameters memory p = market.parameters();
        equal(5, p.serviceCostWeiPerKWh, "service cost");
        equal(60, p.reportingPeriodS, "period");
        equal(6, p.feedInWeiPerKWh, "feed-in");
        equal(6, p.retailWeiPerKWh, "retail");
        // They share a slot with the supply.
        report(HOME, reading(1, 100, 0));
        equal(60, market.parameters().reportingPeriodS, "period after a report");
        equal(100, market.totalSupply(), "supply");
    }

    function test_parameters_are_checked() public {
        vm.expectRevert(abi.encodeWithSelector(PeriodOutOfBounds.selector, 1, 86_400, 0));
        vm.prank(AGENT);
        market.setReportingPeriod(0);
        vm.expectRevert(abi.encodeWithSelector(PeriodOutOfBounds.selector, 1, 86_400, 86_401));
        vm.prank(AGENT);
        market.setReportingPeriod(86_401);
        vm.expectRevert(abi.encodeWithSelector(TariffInverted.selector, 2, 1));
        vm.prank(AGENT);
        market.setTariff(2, 1);
        vm.expectRevert(abi.encodeWithSelector(ZeroAccount.selector));
        vm.prank(AGENT);
        market.setServiceCostReceiver(address(0));
        vm.expectRevert(abi.encodeWithSelector(ZeroAccount.selector));
        new EnergyMarket("", "", address(0), OFFICE, AGENT, Parameters(1, 900, 1, 1), ether18());
    }

    function test_settlement_unit_is_named_at_deployment() public {
        Parameters memory p = Parameters(1, 900, 1, 1);
        Settlement memory rial = Settlement("a name that is longer than a storage slot", "IRR", 2);
        Settlement memory unit = new EnergyMarket("", "", ADMIN, OFFICE, AGENT, p, rial).settlement();
        check(keccak256(bytes(unit.name)) == keccak256(bytes(rial.name)), "name");
        check(keccak256(bytes(unit.symbol)) == keccak256("IRR"), "symbol");
        equal(2, unit.decimals, "decimals");
    }

    function test_token_transfers() public {
        report(HOME, reading(1, 100, 0));
        equal(3, market.decimals(), "decimals");
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, HOME, 100, 101)
        );
        vm.prank(HOME);
        market.transfer(NEIGHBOUR, 101);
        vm.prank(HOME);
        check(market.transfer(HOME, 100), "to itself");
        equal(100, market.balanceOf(HOME), "tokens");
        vm.prank(AGENT);
        market.pause(true);
        vm.expectRevert(abi.encodeWithSelector(MarketPaused.selector));
        vm.prank(HOME);
        market.transfer(NEIGHBOUR, 1);
    }

    function testFuzz_transfers_touch_tokens_only(uint256 amount, address to) public {
        vm.assume(to != address(0) && to != address(market));
        report(HOME, reading(1, 1000, 3));
        vm.prank(HOME);
        check(market.transfer(to, amount = bound(amount, 0, 1000)), "transfer");
        Household memory h = market.household(HOME);
        equal(to == HOME ? 1000 : 1000 - amount, h.tokensWh, "sender");
        equal(to == HOME ? 1000 : amount, market.balanceOf(to), "receiver");
        equal(1000, market.totalSupply(), "supply");
        equal(1, h.sequence, "sequence");
        equal(FIRST_CONSUMED + 3, h.consumedWh, "consumed");
        check(h.active, "active");
    }

    function replace(Meter meter, bytes32 meterId, uint40 closingWh, uint40 openingWh) private {
        vm.prank(OFFICE);
        market.replaceMeter(HOME, meter, meterId, closingWh, openingWh);
    }

    function refuseEnrolment(Enrolment memory e, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(OFFICE);
        market.enrol(e);
    }

    function refuseRole(bytes32 role, bytes memory call_) private {
        vm.prank(HOME);
        (bool done, bytes memory why) = address(market).call(call_);
        check(!done, "done");
        bytes memory expected =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, HOME, role);
        check(keccak256(why) == keccak256(expected), "another error");
    }
}
