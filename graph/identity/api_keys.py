"""API keys as programs send them: cg_<prefix>_<secret>."""

import re
import secrets
import string
from dataclasses import dataclass, field

from graph.identity.random_secrets import SECRET_LENGTH, hash_of, new_secret

PREFIX_LENGTH = 12
_PREFIX_ALPHABET = string.digits + string.ascii_lowercase
_FORMAT = re.compile(rf"cg_(?P<prefix>[0-9a-z]{{{PREFIX_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """prefix: identifies the key in lists; not secret. text: the whole key, shown once."""

    prefix: str
    text: str = field(repr=False)

    @classmethod
    def new(cls) -> "ApiKey":
        """A random key."""
        prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(PREFIX_LENGTH))
        return cls(prefix, f"cg_{prefix}_{new_secret()}")

    @classmethod
    def parse(cls, text: str) -> "ApiKey | None":
        """None if the text does not have the format of an API key."""
        match = _FORMAT.fullmatch(text)
        return None if match is None else cls(match["prefix"], text)

    @property
    def hash(self) -> bytes:
        """The stored hash, by which a key is found.

        An index compares it byte by byte. The time that this takes reveals nothing useful: an attacker cannot choose
        the bytes of a hash, only those of the text that is hashed.
        """
        return hash_of(self.text)
