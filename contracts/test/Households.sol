// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnergyMarket} from "../src/EnergyMarket.sol";
import {HouseholdSlot} from "../src/HouseholdSlot.sol";
import {Household, Meter, SignedReading} from "../src/MarketTypes.sol";
import {MarketTest} from "./Vm.sol";

/// @dev Three households that report, sign, replace meters and send tokens as they like, and keep their own books.
abstract contract Households is MarketTest {
    uint256 public constant COUNT = 3;
    uint256 public producedWh;
    /// @dev Since enrolment, over all meters.
    mapping(address account => uint256 wh) public consumedWh;
    uint256 private serial;
    mapping(address account => uint256 word) public last;

    constructor(EnergyMarket market_) {
        market = market_;
        for (uint256 i = 0; i < COUNT; ++i) {
            enrol(account(i));
            last[account(i)] = pack(1, 0, START, FIRST_PRODUCED, FIRST_CONSUMED);
        }
    }

    /// @dev The market is the test's: nothing to make here, also when forge calls it.
    function setUp() public override {}

    function account(uint256 i) public pure returns (address) {
        return vm.addr(i % COUNT + 1);
    }

    function reports(uint256 who, uint256 seed, uint256 count) external {
        uint256[] memory words = new uint256[](count % 4 + 1);
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = follow(account(who), uint256(keccak256(abi.encode(seed, i))));
        }
        vm.prank(account(who));
        market.report(words);
    }

    function signs(uint256 who, uint256 seed, uint256 count) external {
        SignedReading[] memory signed = new SignedReading[](count % 4 + 1);
        for (uint256 i = 0; i < signed.length; ++i) {
            uint256 household_ = (who % COUNT + (seed >> (8 * i)) % COUNT) % COUNT;
            signed[i] =
                sign(household_ + 1, follow(account(household_), uint256(keccak256(abi.encode(seed, i)))));
        }
        market.reportSigned(signed);
    }

    function replays(uint256 who) external {
        uint256 supply = market.totalSupply();
        uint256 word = last[account(who)];
        vm.prank(account(who));
        (bool accepted,) = address(market).call(abi.encodeCall(market.report, (one(word))));
        check(!accepted, "replay accepted");
        SignedReading[] memory signed = new SignedReading[](1);
        signed[0] = sign(who % COUNT + 1, word);
        (accepted,) = address(market).call(abi.encodeCall(market.reportSigned, (signed)));
        check(!accepted, "signed replay accepted");
        equal(supply, market.totalSupply(), "supply after a replay");
    }

    function replacesMeter(uint256 who, bool production, uint40 gain, uint40 opening) external {
        Household memory h = market.household(account(who));
        if (h.epoch == 255) return;
        gain %= 64;
        if (block.timestamp < uint256(h.takenAt) + 60) vm.warp(uint256(h.takenAt) + 60);
        vm.prank(OFFICE);
        market.replaceMeter(
            account(who),
            production ? Meter.PRODUCTION : Meter.CONSUMPTION,
            bytes32(++serial),
            (production ? h.producedWh : h.consumedWh) + gain,
            opening >> 1
        );
        if (production) producedWh += gain;
        else consumedWh[account(who)] += gain;
        uint256 produced = production ? opening >> 1 : h.producedWh;
        uint256 consumed = production ? h.consumedWh : opening >> 1;
        last[account(who)] = pack(h.epoch + 1, 0, block.timestamp, produced, consumed);
    }

    function transfers(uint256 from, uint256 to, uint256 amount) external {
        amount = bound(amount, 0, market.balanceOf(account(from)));
        vm.prank(account(from));
        check(market.transfer(account(to), amount), "transfer");
    }

    /// @dev A good reading after the last one, with gaps, held meters and all.
    function follow(address home, uint256 seed) private returns (uint256 word) {
        uint256 previous = last[home];
        uint256 elapsed = seed % 3600 + 1;
        uint256 most = uint256(RATED_W) * elapsed * 11 / 36_000;
        if (elapsed >= 450) most += 64; // half a period
        uint256 flags = (seed >> 32) % 8;
        uint256 produced = flags & HouseholdSlot.PRODUCTION_HELD == 0 ? (seed >> 64) % (most + 1) : 0;
        uint256 consumed = flags & HouseholdSlot.CONSUMPTION_HELD == 0 ? (seed >> 128) % (most + 1) : 0;
        word = previous + (elapsed << 80) + (((seed >> 192) % 3 + 1) << 112) + (produced << 40) + consumed;
        last[home] = word;
        producedWh += produced;
        consumedWh[home] += consumed;
        uint256 takenAt = (word >> 80) & type(uint32).max;
        if (takenAt > block.timestamp) vm.warp(takenAt);
        word = flagged(word, flags);
    }
}
