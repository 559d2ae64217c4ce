// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HouseholdNotActive, HouseholdSlot} from "./HouseholdSlot.sol";
import {MarketPaused} from "./MarketState.sol";
import {Order} from "./MarketTypes.sol";
import {OrderSlot} from "./OrderSlot.sol";
import {Registration} from "./Registration.sol";

/// @notice No energy is named.
error NothingAsked();
/// @notice The price is outside the band in which a trade makes sense for both sides.
error PriceOutsideTariff(uint256 feedInWeiPerKWh, uint256 retailWeiPerKWh, uint256 gotWeiPerKWh);
/// @notice A seller's numbers rise in each place, so that none is used twice.
error NumberNotRising(address seller, uint256 last, uint256 got);
/// @notice The place that the number names holds an order of which something is left.
error PlaceTaken(address seller, uint256 number);
/// @notice There is no such order, or nothing is left of it.
error OrderGone(address seller, uint256 number);
/// @notice The order's time is over.
error OrderExpired(address seller, uint256 number, uint256 expiresAt);
/// @notice The order has another price than the buyer agreed to.
error PriceChanged(uint256 expectedWeiPerKWh, uint256 gotWeiPerKWh);
/// @notice Less energy is left in the order than is asked for.
error NotEnoughLeft(address seller, uint256 number, uint256 leftWh, uint256 gotWh);
/// @notice The seller has been suspended since.
error SellerNotActive(address seller);
/// @notice Nobody buys from himself.
error OwnOrder(address seller, uint256 number);
/// @notice The money sent covers not both the price and the service cost.
error Underpaid(uint256 neededWei, uint256 gotWei);
/// @notice An account did not take the money it was due.
error PaymentFailed(address to, uint256 amountWei);
/// @notice More than the household has consumed since its enrolment and not redeemed yet.
error ExceedsConsumption(address household, uint256 allowedWh, uint256 gotWh);
/// @notice The market was called again while it was paying.
error Reentered();

/// @title Orders, trades and the redeeming of tokens.
/// @notice What the paper calls `setOrder` is `buy`. Energy is in escrow from the moment it is offered; buyer and seller
/// are whoever called; payment, service cost and energy change hands in one transaction or not at all.
/// @dev Checks, effects, then payments. One slot each for ledger, seller, buyer, order and service, and a payment to two
/// accounts: that is nearly all that a trade costs.
abstract contract Orders is Registration {
    using HouseholdSlot for uint256;
    using OrderSlot for uint256;

    /// @dev Prices are per kWh, energy is in Wh.
    uint256 private constant WH_PER_KWH = 1000;

    /// @notice A seller put in an order; its energy is in escrow.
    event Offered(
        address indexed seller, uint40 number, uint40 energyWh, uint80 priceWeiPerKWh, uint32 expiresAt
    );
    /// @notice A seller took back what was left of an order.
    event Cancelled(address indexed seller, uint40 number, uint40 energyWh);
    /// @notice A trade was concluded: all seven fields of the paper's Table 8, and the order that it was of.
    /// @param tradeId from 1, in the order in which they were concluded
    /// @param priceWei what the seller was paid for all of it
    /// @param serviceCostWei what the distribution company was paid for all of it
    /// @param time the block's
    event Traded(
        address indexed seller,
        address indexed buyer,
        uint256 tradeId,
        uint40 number,
        uint40 energyWh,
        uint256 priceWei,
        uint256 serviceCostWei,
        uint32 time
    );
    /// @notice A household burned tokens against its own consumption.
    event Redeemed(address indexed household, uint40 energyWh);

    /// @notice Offers energy and puts it in escrow.
    /// @param number the seller's own, above the one last used in its place (number modulo 256)
    /// @param energyWh how much
    /// @param priceWeiPerKWh within the tariff
    /// @param expiresAt from when on nobody can buy
    function offer(uint40 number, uint40 energyWh, uint80 priceWeiPerKWh, uint32 expiresAt) external {
        _requireOpen();
        if (energyWh == 0) revert NothingAsked();
        if (expiresAt <= block.timestamp) revert OrderExpired(msg.sender, number, expiresAt);
        Tariff memory tariff = _tariff;
        if (priceWeiPerKWh < tariff.feedInWeiPerKWh || priceWeiPerKWh > tariff.retailWeiPerKWh) {
            revert PriceOutsideTariff(tariff.feedInWeiPerKWh, tariff.retailWeiPerKWh, priceWeiPerKWh);
        }
        uint256 place = OrderSlot.load(msg.sender, number);
        if (number <= place.number()) revert NumberNotRising(msg.sender, place.number(), number);
        if (place.energyWh() != 0) revert PlaceTaken(msg.sender, place.number());
        uint256 slot = _activeSlot(msg.sender);
        _take(msg.sender, slot, energyWh);
        _ledger.escrowedWh += energyWh;
        OrderSlot.store(msg.sender, number, OrderSlot.pack(number, energyWh, priceWeiPerKWh, expiresAt));
        emit Transfer(msg.sender, address(this), energyWh);
        emit Offered(msg.sender, number, energyWh, priceWeiPerKWh, expiresAt);
    }

    /// @notice Takes back what is left of one's own order, also of an expired one; a suspended household may.
    function cancel(uint40 number) external {
        _requireOpen();
        uint256 terms = _openOrder(msg.sender, number);
        uint256 leftWh = terms.energyWh();
        OrderSlot.store(msg.sender, number, terms - leftWh);
        _ledger.escrowedWh -= uint64(leftWh);
        _give(msg.sender, HouseholdSlot.load(uint160(msg.sender)), leftWh);
        emit Transfer(address(this), msg.sender, leftWh);
        emit Cancelled(msg.sender, number, uint40(leftWh));
    }

    /// @notice Buys all or part of an order. The money sent covers price and service cost; the surplus comes back.
    /// @param seller whose order
    /// @param number which
    /// @param energyWh how much of it
    /// @param priceWeiPerKWh the price that the buyer agreed to
    function buy(address seller, uint40 number, uint40 energyWh, uint80 priceWeiPerKWh) external payable {
        _requireOpen();
        if (energyWh == 0) revert NothingAsked();
        if (seller == msg.sender) revert OwnOrder(seller, number);
        _takeFromOrder(seller, number, energyWh, priceWeiPerKWh);
        if (HouseholdSlot.load(uint160(seller)).ratedPowerW() == 0) revert SellerNotActive(seller);
        _give(msg.sender, _activeSlot(msg.sender), energyWh);
        Service memory service = _service;
        uint256 priceWei = _cost(energyWh, priceWeiPerKWh);
        uint256 serviceCostWei = _cost(energyWh, service.serviceCostWeiPerKWh);
        uint256 neededWei = priceWei + serviceCostWei;
        if (msg.value < neededWei) revert Underpaid(neededWei, msg.value);
        uint256 tradeId = _conclude(energyWh);
        emit Transfer(address(this), msg.sender, energyWh);
        emit Traded(
            seller, msg.sender, tradeId, number, energyWh, priceWei, serviceCostWei, uint32(block.timestamp)
        );
        _pay(seller, priceWei);
        _pay(service.receiver, serviceCostWei);
        _pay(msg.sender, msg.value - neededWei);
        // Written after the payments, since it is the lock itself.
        // slither-disable-next-line reentrancy-eth
        _ledger.locked = false;
    }

    /// @notice Burns tokens against one's own consumption: they count on the next invoice.
    function redeem(uint40 energyWh) external {
        _requireOpen();
        if (energyWh == 0) revert NothingAsked();
        uint256 slot = _activeSlot(msg.sender);
        uint256 allowedWh = _redeemable(msg.sender, slot);
        if (energyWh > allowedWh) revert ExceedsConsumption(msg.sender, allowedWh, energyWh);
        _enrolled[msg.sender].redeemedWh += energyWh;
        _take(msg.sender, slot, energyWh);
        _ledger.supplyWh -= energyWh;
        emit Transfer(msg.sender, address(0), energyWh);
        emit Redeemed(msg.sender, energyWh);
    }

    /// @notice What is left of an order, and its terms; no energy and no terms if there is none.
    function order(address seller, uint40 number) external view returns (Order memory) {
        uint256 terms = OrderSlot.load(seller, number);
        if (terms.number() != number || terms.energyWh() == 0) return Order(seller, number, 0, 0, 0);
        return Order({
            seller: seller,
            number: number,
            energyWh: uint40(terms.energyWh()),
            priceWeiPerKWh: uint80(terms.priceWeiPerKWh()),
            expiresAt: uint32(terms.expiresAt())
        });
    }

    /// @notice What a household has consumed since its enrolment, over all epochs, and not redeemed yet.
    function redeemable(address account) external view returns (uint256 wh) {
        return _redeemable(account, HouseholdSlot.load(uint160(account)));
    }

    function _requireOpen() private view {
        Ledger storage ledger = _ledger;
        if (ledger.paused) revert MarketPaused();
        if (ledger.locked) revert Reentered();
    }

    function _activeSlot(address account) private view returns (uint256 slot) {
        slot = HouseholdSlot.load(uint160(account));
        if (slot.ratedPowerW() == 0) revert HouseholdNotActive(account);
    }

    /// @dev An order of which something is left.
    function _openOrder(address seller, uint256 number) private view returns (uint256 terms) {
        terms = OrderSlot.load(seller, number);
        if (terms.number() != number || terms.energyWh() == 0) revert OrderGone(seller, number);
    }

    function _takeFromOrder(address seller, uint256 number, uint256 wantedWh, uint256 priceWeiPerKWh)
        private
    {
        uint256 terms = _openOrder(seller, number);
        if (terms.expiresAt() <= block.timestamp) revert OrderExpired(seller, number, terms.expiresAt());
        if (terms.priceWeiPerKWh() != priceWeiPerKWh) {
            revert PriceChanged(terms.priceWeiPerKWh(), priceWeiPerKWh);
        }
        if (terms.energyWh() < wantedWh) revert NotEnoughLeft(seller, number, terms.energyWh(), wantedWh);
        OrderSlot.store(seller, number, terms - wantedWh); // the energy is the lowest field
    }

    /// @dev Books a trade in the ledger, takes the lock and numbers it.
    function _conclude(uint64 energyWh) private returns (uint256 tradeId) {
        _ledger.escrowedWh -= energyWh;
        tradeId = _ledger.trades += 1;
        _ledger.locked = true;
    }

    function _take(address from, uint256 slot, uint256 energyWh) private {
        uint256 held = slot.tokens();
        if (held < energyWh) revert ERC20InsufficientBalance(from, held, energyWh);
        HouseholdSlot.store(uint160(from), HouseholdSlot.withTokens(from, slot, held - energyWh));
    }

    function _give(address to, uint256 slot, uint256 energyWh) private {
        HouseholdSlot.store(uint160(to), HouseholdSlot.withTokens(to, slot, slot.tokens() + energyWh));
    }

    function _cost(uint256 energyWh, uint256 weiPerKWh) private pure returns (uint256) {
        return (energyWh * weiPerKWh + (WH_PER_KWH - 1)) / WH_PER_KWH;
    }

    /// @dev All the gas goes along: who is paid may be a contract. The lock is on, and nothing of the trade is open.
    function _pay(address to, uint256 amountWei) private {
        if (amountWei == 0) return;
        // Not `transfer`: its 2,300 gas are too few for a contract. A refusal is answered.
        // And not `call`, which copies whatever the account answers, at the buyer's cost.
        bool paid;
        assembly ("memory-safe") {
            paid := call(gas(), to, amountWei, 0, 0, 0, 0)
        }
        if (!paid) revert PaymentFailed(to, amountWei);
    }
}
