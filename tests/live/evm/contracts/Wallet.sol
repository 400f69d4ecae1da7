// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.20;

/// The logic of a contract wallet: whoever brings the owner's signature may have it executed. It lives behind a proxy.
contract Wallet {
    address private logic; // the proxy's own slot comes first
    address public owner;
    uint256 public nonce;

    event Executed(uint256 nonce);
    event Failed(uint256 nonce);

    receive() external payable {}

    function setUp(address owner_) external {
        require(owner == address(0), "set up already");
        owner = owner_;
    }

    function execute(address to, uint256 value, bytes calldata data, uint8 v, bytes32 r, bytes32 s) external returns (bool ok) {
        uint256 current = nonce++;
        bytes32 order = keccak256(abi.encode(address(this), current, to, value, keccak256(data)));
        require(ecrecover(order, v, r, s) == owner, "not the owner's order");
        (ok, ) = to.call{value: value}(data);
        if (ok) emit Executed(current);
        else emit Failed(current);
    }

    /// Give up the wallet: what it holds goes to `to` by self-destruction.
    function close(address payable to) external {
        require(msg.sender == owner, "not the owner");
        selfdestruct(to);
    }
}

/// Holds the money and hands every call to the logic, value and all.
contract Proxy {
    address private logic;

    constructor(address logic_) payable {
        logic = logic_;
    }

    receive() external payable {
        _delegate();
    }

    fallback() external payable {
        _delegate();
    }

    function _delegate() private {
        (bool ok, bytes memory answer) = logic.delegatecall(msg.data);
        if (!ok) {
            assembly {
                revert(add(answer, 32), mload(answer))
            }
        }
        assembly {
            return(add(answer, 32), mload(answer))
        }
    }
}
