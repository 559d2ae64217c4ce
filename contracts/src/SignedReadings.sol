// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The signature of this reading is not one: not recoverable, or the malleable twin of one.
error InvalidSignature(uint256 reading);

/// @title Who signed a packed reading under EIP-712.
/// @dev `prepare` lays out memory at fixed places from 0x80 on and `reportSigned` fills it in for each reading. What was
/// allocated there before is lost, so nothing may read it again: that is why these blocks are not marked memory-safe. What
/// is allocated later lies behind. It saves 200 gas a reading against `abi.encode`, which writes all of it each time.
///
/// | place | what                                            |
/// |-------|-------------------------------------------------|
/// | 0x60  | Solidity's zero                                 |
/// | 0x80  | digest; the signer, once the precompile answers |
/// | 0xa0  | v, r, s                                         |
/// | 0x100 | type hash, reading                              |
/// | 0x140 | 0x1901 in the last two bytes                    |
/// | 0x160 | domain separator, struct hash                   |
library SignedReadings {
    /// @dev One word, since a reading is one word wherever it goes: signed, sent, logged, stored. Its six fields in a word
    /// each would cost 105 gas more. The household is not in it: it is the signer.
    bytes32 internal constant TYPE_HASH = keccak256("Reading(uint256 reading)");

    /// @notice Lays out what all readings of a call share.
    function prepare(bytes32 domainSeparator) internal pure {
        bytes32 typeHash = TYPE_HASH;
        assembly {
            mstore(0x100, typeHash)
            mstore(0x140, 0x1901)
            mstore(0x160, domainSeparator)
            mstore(0x40, 0x1a0) // the next free memory: a reading that is not ordinary needs some
        }
    }
}
