// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity ^0.8.20;

import "./Token.sol";

/// Pays many in one transaction, as pools do, and in the ways in which that goes wrong.
contract Batch {
    /// Pay everyone, keep `kept`, give the rest back. One refusal undoes all.
    function pay(address payable[] calldata to, uint256[] calldata amounts, uint256 kept) external payable {
        uint256 left = msg.value - kept;
        for (uint256 i = 0; i < to.length; i++) {
            left -= amounts[i];
            _send(to[i], amounts[i]);
        }
        if (left > 0) _send(payable(msg.sender), left);
    }

    /// Pay whoever takes it, pass over those who refuse, give the rest back.
    function tryToPay(address payable[] calldata to, uint256[] calldata amounts) external payable {
        uint256 left = msg.value;
        for (uint256 i = 0; i < to.length; i++) {
            (bool ok, ) = to[i].call{value: amounts[i]}("");
            if (ok) left -= amounts[i];
        }
        if (left > 0) _send(payable(msg.sender), left);
    }

    /// Pay, undo that payment inside the transaction, and give everything back: the outer call succeeds.
    function payAndUndo(address payable to) external payable {
        try this.payAndFail{value: msg.value}(to) {
            revert("it had to fail");
        } catch {
            _send(payable(msg.sender), msg.value);
        }
    }

    function payAndFail(address payable to) external payable {
        _send(to, msg.value);
        revert("undone");
    }

    /// Move the caller's tokens straight to everyone.
    function payTokens(Token token, address[] calldata to, uint256[] calldata amounts) external {
        for (uint256 i = 0; i < to.length; i++) require(token.transferFrom(msg.sender, to[i], amounts[i]), "not moved");
    }

    /// Take the caller's tokens in one sum, then pay everyone from it.
    function collectAndPayTokens(Token token, address[] calldata to, uint256[] calldata amounts) external {
        uint256 sum = 0;
        for (uint256 i = 0; i < to.length; i++) sum += amounts[i];
        require(token.transferFrom(msg.sender, address(this), sum), "not moved");
        for (uint256 i = 0; i < to.length; i++) require(token.transfer(to[i], amounts[i]), "not moved");
    }

    function _send(address payable to, uint256 amount) private {
        (bool ok, ) = to.call{value: amount}("");
        require(ok, "refused");
    }
}
