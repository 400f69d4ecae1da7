// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.20;

/// An ERC-20 token. With a fee, each transfer pays a part of itself to the collector. To `refused` it answers false and moves nothing.
contract Token {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    string public symbol;
    uint8 public decimals;
    uint256 public totalSupply;
    uint256 private immutable feePerMille;
    address private immutable collector;
    address public constant refused = address(0xdead);
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(string memory symbol_, uint8 decimals_, uint256 supply, uint256 feePerMille_, address collector_) {
        symbol = symbol_;
        decimals = decimals_;
        totalSupply = supply;
        feePerMille = feePerMille_;
        collector = collector_;
        balanceOf[msg.sender] = supply;
        emit Transfer(address(0), msg.sender, supply);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return _move(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        return _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private returns (bool) {
        if (to == refused) return false;
        uint256 fee = (value * feePerMille) / 1000;
        balanceOf[from] -= value;
        balanceOf[to] += value - fee;
        emit Transfer(from, to, value - fee);
        if (fee > 0) {
            balanceOf[collector] += fee;
            emit Transfer(from, collector, fee);
        }
        return true;
    }
}
