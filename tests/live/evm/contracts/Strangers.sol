// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.20;

/// Says what it likes in logs that look like a token's, under a known token's symbol.
contract Liar {
    event Transfer(address indexed from, address indexed to, uint256 value);

    string public constant symbol = "USDX";
    uint8 public constant decimals = 6;

    function claim(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }

    /// The same event with nothing indexed, as some old tokens have it.
    function claimUnindexed(address from, address to, uint256 value) external {
        bytes memory data = abi.encode(from, to, value);
        bytes32 topic = Transfer.selector;
        assembly {
            log1(add(data, 32), mload(data), topic)
        }
    }

    /// The same event with everything indexed: a collectible's id stands where a token has its amount.
    function claimCollectible(address from, address to, uint256 item) external {
        bytes32 topic = Transfer.selector;
        assembly {
            log4(0, 0, topic, from, to, item)
        }
    }

    function balanceOf(address) external pure returns (uint256) {
        return 10 ** 30;
    }
}

/// Is gone as soon as it is made, and its money goes to `to`.
contract Vanishing {
    constructor(address payable to) payable {
        selfdestruct(to);
    }
}

/// Keeps what it is made with.
contract Vault {
    constructor() payable {}
}

contract Factory {
    function make() external payable {
        new Vault{value: msg.value}();
    }
}

/// Can't be made.
contract Stillborn {
    constructor() payable {
        revert("never");
    }
}

/// Takes no money.
contract Refuser {
    receive() external payable {
        revert("no, thank you");
    }
}

/// Passes calls on, value and all, for whoever signs nothing: what an account may delegate itself to (EIP-7702).
contract Delegate {
    function pay(address payable[] calldata to, uint256[] calldata amounts) external payable {
        for (uint256 i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: amounts[i]}("");
            require(ok, "refused");
        }
    }

    receive() external payable {}
}
