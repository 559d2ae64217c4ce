// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {HouseholdSlot} from "./HouseholdSlot.sol";
import {MarketPaused, MarketState} from "./MarketState.sol";

/// @title One energy token is one kWh that a meter counted; its base unit is 1 Wh.
/// @dev OpenZeppelin's ERC-20 with the balances in the household slots and the supply beside the parameters, so that a
/// report, which mints, touches two slots in all.
abstract contract EnergyToken is ERC20, MarketState {
    using HouseholdSlot for uint256;

    /// @notice Three: the base unit is 1 Wh.
    function decimals() public pure override returns (uint8) {
        return 3;
    }

    /// @inheritdoc ERC20
    /// @dev The market's own balance is what is in escrow, so that balances always add up to the supply.
    function balanceOf(address account) public view override returns (uint256) {
        if (account == address(this)) return _ledger.escrowedWh;
        return HouseholdSlot.load(uint160(account)).tokens();
    }

    /// @inheritdoc ERC20
    function totalSupply() public view override returns (uint256) {
        return _ledger.supplyWh;
    }

    /// @dev Every movement of tokens but the minting of a report and what orders move, which write the slots by themselves. A pause stops
    /// what holders do; the registration office may go on replacing meters, which mints.
    function _update(address from, address to, uint256 value) internal override {
        // Escrow comes with an order only: what came otherwise could never be taken out.
        if (to == address(this)) revert ERC20InvalidReceiver(to);
        if (from == address(0)) {
            // Checked: it would take 2^24 accounts, each full, to overflow.
            _ledger.supplyWh += uint64(value);
        } else {
            if (_ledger.paused) revert MarketPaused();
            uint256 source = HouseholdSlot.load(uint160(from));
            uint256 held = source.tokens();
            if (held < value) revert ERC20InsufficientBalance(from, held, value);
            HouseholdSlot.store(uint160(from), HouseholdSlot.withTokens(from, source, held - value));
        }
        if (to == address(0)) {
            _ledger.supplyWh -= uint64(value); // at most what `from` held
        } else {
            uint256 target = HouseholdSlot.load(uint160(to));
            HouseholdSlot.store(uint160(to), HouseholdSlot.withTokens(to, target, target.tokens() + value));
        }
        emit Transfer(from, to, value);
    }
}
