// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PaymentFailed} from "../src/Orders.sol";
import {TradingTest} from "./Trading.sol";

/// @dev A seller whose account takes the money and answers with as much as its gas allows.
contract Bomb {
    receive() external payable {
        assembly {
            return(0, 200000)
        }
    }
}

contract Burner {
    receive() external payable {
        while (true) {}
    }
}

contract BombTest is TradingTest {
    function attack(bytes memory code) private returns (bool done, bytes memory said, uint256 used) {
        vm.etch(SELLER, code);
        offer(SELLER, 1, 1000);
        uint256 value = cost(1000, PRICE) + cost(1000, SERVICE_COST);
        vm.prank(BUYER);
        uint256 before = gasleft();
        (done, said) = address(market).call{value: value, gas: 228_000}(
            abi.encodeCall(market.buy, (SELLER, 1, 1000, PRICE))
        );
        used = before - gasleft();
    }

    function test_an_answer_of_a_seller_is_not_taken() external {
        (bool done,, uint256 used) = attack(type(Bomb).runtimeCode);
        require(done, "not bought: out of gas");
        require(used < 228_000, "used");
    }

    function test_a_burner_reverts_by_name() external {
        (bool done, bytes memory said,) = attack(type(Burner).runtimeCode);
        require(!done, "bought");
        require(said.length >= 4 && bytes4(said) == PaymentFailed.selector, "no name");
    }
}
