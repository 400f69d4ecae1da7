"""Streebog-512 (GOST R 34.11-2012, RFC 6986): the digest of Kazakhstan's GOST signatures. Pure, and slow: a megabyte takes some ten seconds.

Enters: bytes. Leaves: the digest, 64 bytes. Only what anybody may see is hashed here, so nothing is done against onlookers of the time it takes. OpenSSL computes it
only with an engine that few machines have, and no kept library of Python does (ADR 17).
"""

from __future__ import annotations

from functools import cache
from struct import pack

_PI = bytes.fromhex(
    "fceedd11cf6e3116fbc4fada23c5044de977f0db932e99ba1736f1bb14cd5fc1f918655ae25cef21811c3c428b018e4f058402aee36a8fa0060bed987fd4d31f"
    "eb342c51eac848abf22a68a2fd3aceccb5700e56080c7612bf7213479cb75d8715a19629107b9ac7f391786f9d9eb2b13275193dff358a7e6d54c680c3bd0d57"
    "dff524a93ea843c9d779d6f67c22b903e00fecde7a94b0bcdce828504e330a4aa79760731e0062441ab83882649f2641ad454692275e552f8ca3a57d69d5953b"
    "0758b34086ac1df730376be488d9e789e11b83494c3ff8fe8d53aa90cad88561207167a42d2b095bcb9b25d0bee56c5259a674d2e6f4b4c0d166afc2394b63b6"
)
"""The substitution of bytes (RFC 6986, section 6.2)."""
_A = bytes.fromhex(
    "8e20faa72ba0b47047107ddd9b505a38ad08b0e0c3282d1cd8045870ef14980e6c022c38f90a4c073601161cf205268d1b8e0b0e798c13c883478b07b2468764"
    "a011d380818e8f405086e740ce47c9202843fd2067adea1014aff010bdd875080ad97808d06cb40405e23c0468365a028c711e02341b2d0146b60f011a83988e"
    "90dab52a387ae76f486dd4151c3dfdb924b86a840e90f0d2125c354207487869092e94218d243cba8a174a9ec8121e5d4585254f64090fa0accc9ca9328a8950"
    "9d4df05d5f661451c0a878a0a1330aa660543c50de970553302a1e286fc58ca718150f14b9ec46dd0c84890ad27623e00642ca05693b9f700321658cba93c138"
    "86275df09ce8aaa8439da0784e745554afc0503c273aa42ad960281e9d1d5215e230140fc080298471180a8960409a42b60c05ca30204d215b068c651810a89e"
    "456c34887a3805b9ac361a443d1c8cd2561b0d22900e46692b838811480723ba9bcf4486248d9f5dc3e9224312c8c1a0effa11af0964ee50f97d86d98a327728"
    "e4fa2054a80b329c727d102a548b194e39b008152acb82279258048415eb419d492c024284fbaec0aa16012142f35760550b8e9e21f7a530a48b474f9ef5dc18"
    "70a6a56e2440598e3853dc371220a2471ca76e95091051ad0edd37c48a08a6d807e095624504536c8d70c431ac02a736c83862965601dd1b641c314b2b8ee083"
)
"""The rows of the linear transformation's matrix, 64 of 64 bits (section 6.4)."""
_C = [
    bytes.fromhex(text)[::-1]
    for text in (
        "b1085bda1ecadae9ebcb2f81c0657c1f2f6a76432e45d016714eb88d7585c4fc4b7ce09192676901a2422a08a460d31505767436cc744d23dd806559f2a64507",
        "6fa3b58aa99d2f1a4fe39d460f70b5d7f3feea720a232b9861d55e0f16b501319ab5176b12d699585cb561c2db0aa7ca55dda21bd7cbcd56e679047021b19bb7",
        "f574dcac2bce2fc70a39fc286a3d843506f15e5f529c1f8bf2ea7514b1297b7bd3e20fe490359eb1c1c93a376062db09c2b6f443867adb31991e96f50aba0ab2",
        "ef1fdfb3e81566d2f948e1a05d71e4dd488e857e335c3c7d9d721cad685e353fa9d72c82ed03d675d8b71333935203be3453eaa193e837f1220cbebc84e3d12e",
        "4bea6bacad4747999a3f410c6ca923637f151c1f1686104a359e35d7800fffbdbfcd1747253af5a3dfff00b723271a167a56a27ea9ea63f5601758fd7c6cfe57",
        "ae4faeae1d3ad3d96fa4c33b7a3039c02d66c4f95142a46c187f9ab49af08ec6cffaa6b71c9ab7b40af21f66c2bec6b6bf71c57236904f35fa68407a46647d6e",
        "f4c70e16eeaac5ec51ac86febf240954399ec6c7e6bf87c9d3473e33197a93c90992abc52d822c3706476983284a05043517454ca23c4af38886564d3a14d493",
        "9b1f5b424d93c9a703e7aa020c6e41414eb7f8719c36de1e89b4443b4ddbc49af4892bcb929b069069d18d2bd1a5c42f36acc2355951a8d9a47f0dd4bf02e71e",
        "378f5a541631229b944c9ad8ec165fde3a7d3a1b258942243cd955b7e00d0984800a440bdbb2ceb17b2b8a9aa6079c540e38dc92cb1f2a607261445183235adb",
        "abbedea680056f52382ae548b2e4f3f38941e71cff8a78db1fffe18a1b3361039fe76702af69334b7a1e6c303b7652f43698fad1153bb6c374b4c7fb98459ced",
        "7bcd9ed0efc889fb3002c6cd635afe94d8fa6bbbebab076120018021148466798a1d71efea48b9caefbacd1d7d476e98dea2594ac06fd85d6bcaa4cd81f32d1b",
        "378ee767f11631bad21380b00449b17acda43c32bcdf1d77f82012d430219f9b5d80ef9d1891cc86e71da4aa88e12852faf417d5d9b21b9948bc924af11bd720",
    )
]
"""The constants of the twelve rounds, as the standard writes them: the most significant byte first (section 6.5); turned round, as states are held here."""
BLOCK_BYTES = 64
_ALL = (1 << 512) - 1


def streebog512(data: bytes) -> bytes:
    """The digest of the bytes, in the order of bytes that signatures and certificates use (section 8, with the hash's least significant byte first)."""
    state, length, checksum = bytes(BLOCK_BYTES), 0, 0
    whole = len(data) - len(data) % BLOCK_BYTES
    for at in range(0, whole, BLOCK_BYTES):
        block = data[at : at + BLOCK_BYTES]
        state = _compress(length, state, block)
        length = length + 512 & _ALL
        checksum = checksum + int.from_bytes(block, "little") & _ALL
    rest = data[whole:]
    block = (rest + b"\x01").ljust(BLOCK_BYTES, b"\0")
    state = _compress(length, state, block)
    length = length + 8 * len(rest) & _ALL
    checksum = checksum + int.from_bytes(block, "little") & _ALL
    state = _compress(0, state, length.to_bytes(BLOCK_BYTES, "little"))
    return _compress(0, state, checksum.to_bytes(BLOCK_BYTES, "little"))


def _compress(length: int, state: bytes, block: bytes) -> bytes:
    """The compression function (section 7)."""
    key = _transform(_xor(state, length.to_bytes(BLOCK_BYTES, "little")))
    inner = _xor(key, block)
    for constant in _C:
        inner = _transform(inner)
        key = _transform(_xor(key, constant))
        inner = _xor(inner, key)
    return _xor(_xor(inner, state), block)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(BLOCK_BYTES, "little")


@cache
def _tables() -> list[list[int]]:
    """For each byte of a word what it gives once it is substituted and multiplied by its eight rows of the matrix."""
    rows = [int.from_bytes(_A[at : at + 8], "big") for at in range(0, len(_A), 8)]
    tables = []
    for place in range(8):
        of_byte = [rows[63 - 8 * place - bit] for bit in range(8)]
        table = []
        for value in _PI:
            found = 0
            for bit in range(8):
                if value >> bit & 1:
                    found ^= of_byte[bit]
            table.append(found)
        tables.append(table)
    return tables


def _transform(block: bytes) -> bytes:
    """Substitution, transposition, multiplication: S, P and L together (section 6)."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _tables()
    return pack(
        "<8Q",
        *[
            t0[a] ^ t1[b] ^ t2[c] ^ t3[d] ^ t4[e] ^ t5[f] ^ t6[g] ^ t7[h]
            for a, b, c, d, e, f, g, h in zip(
                block[:8], block[8:16], block[16:24], block[24:32], block[32:40], block[40:48], block[48:56], block[56:], strict=True
            )
        ],
    )
