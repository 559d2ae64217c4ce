// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnergyMarket} from "../src/EnergyMarket.sol";
import {Enrolment, Parameters, Settlement, SignedReading} from "../src/MarketTypes.sol";

/// @dev The part of forge's cheat codes that these tests use. There is no official npm package of forge-std, and this is
/// all of it that is needed.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function addr(uint256 key) external pure returns (address);
    function assume(bool condition) external pure;
    function deal(address account, uint256 balance) external;
    function expectRevert(bytes calldata data) external;
    function getRecordedLogs() external returns (Log[] memory);
    function load(address account, bytes32 slot) external view returns (bytes32);
    function etch(address target, bytes calldata code) external;
    function prank(address sender) external;
    function recordLogs() external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function store(address account, bytes32 slot, bytes32 value) external;
    function warp(uint256 timestamp) external;
}

/// @dev A market with its three roles, and a few words for tests.
abstract contract MarketTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant ADMIN = address(0xA1);
    address internal constant OFFICE = address(0xB2);
    address internal constant AGENT = address(0xC3);
    uint32 internal constant START = 1_800_000_000;
    uint24 internal constant RATED_W = 5000;
    uint40 internal constant FIRST_PRODUCED = 1_000_000;
    uint40 internal constant FIRST_CONSUMED = 2_000_000;
    /// @dev What `RATED_W` may carry in 900 s: 5000 W × 1.1 / 4 h, and the tolerance of 64 Wh.
    uint40 internal constant MOST_IN_900_S = 1439;

    EnergyMarket internal market;

    function setUp() public virtual {
        vm.warp(START);
        market = new EnergyMarket(
            "Energy", "kWh", ADMIN, OFFICE, AGENT, Parameters(1e15, 900, 1e15, 2e15), ether18()
        );
    }

    function ether18() internal pure returns (Settlement memory) {
        return Settlement("Ether", "ETH", 18);
    }

    function enrolment(address account) internal pure returns (Enrolment memory) {
        return Enrolment({
            account: account,
            ratedPowerW: RATED_W,
            firstTakenAt: START,
            firstProducedWh: FIRST_PRODUCED,
            firstConsumedWh: FIRST_CONSUMED,
            area: "north",
            productionMeter: keccak256(abi.encode(account, "production")),
            consumptionMeter: keccak256(abi.encode(account, "consumption")),
            personalDataHash: "salted"
        });
    }

    function enrol(address account) internal {
        vm.prank(OFFICE);
        market.enrol(enrolment(account));
    }

    function pack(uint256 epoch, uint256 sequence, uint256 takenAt, uint256 producedWh, uint256 consumedWh)
        internal
        pure
        returns (uint256)
    {
        return consumedWh | (producedWh << 40) | (takenAt << 80) | (sequence << 112) | (epoch << 136);
    }

    function flagged(uint256 word, uint256 flags) internal pure returns (uint256) {
        return word | (flags << 144);
    }

    /// @dev The `k`th reading of epoch 1, with these gains since enrolment.
    function reading(uint256 k, uint256 producedWh, uint256 consumedWh) internal pure returns (uint256) {
        return pack(1, k, START + 900 * k, FIRST_PRODUCED + producedWh, FIRST_CONSUMED + consumedWh);
    }

    function one(uint256 word) internal pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }

    function report(address account, uint256 word) internal {
        vm.prank(account);
        market.report(one(word));
    }

    function refuse(address account, uint256 word, bytes memory why) internal {
        vm.expectRevert(why);
        report(account, word);
    }

    function sign(uint256 key, uint256 word) internal view returns (SignedReading memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, market.readingDigest(word));
        return SignedReading(word, r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function equal(uint256 expected, uint256 actual, string memory what) internal pure {
        if (expected != actual) revert Unequal(what, expected, actual);
    }

    function check(bool condition, string memory what) internal pure {
        if (!condition) revert Wrong(what);
    }

    error Unequal(string what, uint256 expected, uint256 actual);
    error Wrong(string what);
}
