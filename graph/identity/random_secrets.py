"""Random secrets of API keys and refresh tokens.

They are stored as SHA-256, which is fast; passwords are stored as argon2id, which is slow on purpose. A slow hash makes
each guess expensive, and people choose passwords that can be guessed. 256 random bits cannot be guessed at any speed:
a slow hash would protect nothing and cost time in each request. For the same reason there is no salt.
"""

import secrets
import string
from hashlib import sha256

# Without "_" and "-", so that a double click selects the whole secret, and "_" can separate the parts of a token.
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
# A character of 62 has log2(62) = 5.954 bits: 43 characters have 256 bits.
SECRET_LENGTH = 43


def new_secret() -> str:
    """43 random letters and digits: 256 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def hash_of(secret: str) -> bytes:
    """SHA-256 of a secret, 32 bytes. The secret must be in ASCII."""
    return sha256(secret.encode("ascii")).digest()
