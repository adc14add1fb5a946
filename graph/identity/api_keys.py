"""API keys as programs send them: cg_<prefix>_<secret>."""

import re
import secrets
import string
from dataclasses import dataclass, field

from graph.identity.random_secrets import SECRET_LENGTH, hash_of, new_secret

PREFIX_LENGTH = 12
_PREFIX_LETTERS = string.digits + string.ascii_lowercase
_SHAPE = re.compile(rf"cg_(?P<prefix>[0-9a-z]{{{PREFIX_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """prefix: what is shown of the key ever after, and what a person tells it by. text: the key, shown once."""

    prefix: str
    text: str = field(repr=False)

    @classmethod
    def new(cls) -> "ApiKey":
        prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(PREFIX_LENGTH))
        return cls(prefix, f"cg_{prefix}_{new_secret()}")

    @classmethod
    def parse(cls, text: str) -> "ApiKey | None":
        """None where the text is no key that we could have made."""
        found = _SHAPE.fullmatch(text)
        return None if found is None else cls(found["prefix"], text)

    @property
    def hash(self) -> bytes:
        """What is stored, and what a key is found by.

        An index compares it byte by byte, and how long that takes tells nothing of use: nobody can choose the bytes of
        a hash without knowing what is hashed.
        """
        return hash_of(self.text)
