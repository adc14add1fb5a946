"""Secrets that we make ourselves, for keys and tokens.

They are stored as SHA-256, which is fast, while passwords are stored as argon2id, which is slow on purpose. A slow hash
is for what a person thought up: it makes each guess dear. 256 random bits are beyond all guessing at any speed, so a
slow hash would protect nothing, and each request would pay for it. For the same reason there is no salt.
"""

import secrets
import string
from hashlib import sha256

# No "_" or "-", so that a double click takes the whole secret, and "_" can stand between the parts of a token.
_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
# The logarithm of 62 to the base 2 is 5.954: 43 of them are 256 bits.
SECRET_LENGTH = 43


def new_secret() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(SECRET_LENGTH))


def hash_of(secret: str) -> bytes:
    """32 bytes. The secret must be in ASCII."""
    return sha256(secret.encode("ascii")).digest()
