"""Authenticated encryption of small values at rest: AES-256-GCM, bound to the place where they are kept.

The form: version (1 byte) │ key id (4 bytes) │ nonce (12 bytes) │ ciphertext with tag of 16 bytes
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
KEY_LENGTH = 32
KEY_ID_LENGTH = 4
NONCE_LENGTH = 12
HEADER_LENGTH = len(VERSION) + KEY_ID_LENGTH
SHORTEST = HEADER_LENGTH + NONCE_LENGTH + 16


def key_id(key: bytes) -> bytes:
    """Four bytes that tell one key from another and reveal nothing of it, for keys of 32 random bytes."""
    if len(key) != KEY_LENGTH:
        raise ValueError(f"密钥应为 {KEY_LENGTH} 字节。 The key must have {KEY_LENGTH} bytes.")
    return hashlib.sha256(b"zongzhi sealing key id" + key).digest()[:KEY_ID_LENGTH]


def sealed_with(sealed: bytes) -> bytes:
    """The id of the key that opens this value, so that an older key can be picked after a rotation."""
    if len(sealed) < SHORTEST or not sealed.startswith(VERSION):
        raise ValueError("密文不完整或版本不识别。 The sealed value is cut short or of an unknown version.")
    return sealed[len(VERSION) : HEADER_LENGTH]


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Encrypts; `context` says where the value belongs (table, row, column), so that it opens nowhere else."""
    header = VERSION + key_id(key)
    nonce = secrets.token_bytes(NONCE_LENGTH)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Decrypts. Another key, another context or a changed byte raises ValueError."""
    if sealed_with(sealed) != key_id(key):
        raise ValueError("密文由另一把密钥加密。 The value was sealed with another key.")
    nonce, body = sealed[HEADER_LENGTH : HEADER_LENGTH + NONCE_LENGTH], sealed[HEADER_LENGTH + NONCE_LENGTH :]
    try:
        return AESGCM(key).decrypt(nonce, body, sealed[:HEADER_LENGTH] + context)
    except InvalidTag as wrong:
        raise ValueError("密文被改动或用错了位置。 The sealed value was changed, or belongs elsewhere.") from wrong
