"""Names and passwords: scrypt hashes in a file, compared in constant time. Passwords are never kept."""

import base64
import getpass
import hashlib
import hmac
import secrets
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import anyio.to_thread

from fer_models.errors import FerError

#: Cost of scrypt (RFC 7914): 16 MB of memory and a few hundredths of a second per password.
_COST: Final = {"n": 2**14, "r": 8, "p": 1}
_ADVICE: Final = "Make a line with: python app.py --hash-password USER"


class AccountError(FerError):
    """The accounts that were given cannot be used. The message never holds a password."""


def hash_password(password: str) -> str:
    """A password's salted hash: scrypt$n$r$p$salt$key, the last two in base64."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", *map(str, _COST.values()), _text(salt), _text(_derive(password, salt, **_COST))])


def verify_password(password: str, hashed: str) -> bool:
    """Whether a password has this hash, in a time that depends on neither. `parse_accounts` has checked the hash."""
    _, n, r, p, salt, key = hashed.split("$")
    derived = _derive(password, base64.b64decode(salt), n=int(n), r=int(r), p=int(p))
    return hmac.compare_digest(derived, base64.b64decode(key))


def parse_accounts(text: str) -> dict[str, str]:
    """The hash of each user, from lines USER:HASH; empty lines and those that begin with # are left out.

    Raises:
        AccountError: a line is malformed, a user is named twice, or there is none.
    """
    accounts: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        user, _, hashed = (part.strip() for part in line.partition(":"))
        if not user or not _is_hash(hashed):
            raise AccountError(f"Line {number} of the account file is not USER:HASH. {_ADVICE}")
        if user in accounts:
            raise AccountError(f"Line {number} of the account file names {user!r} a second time. Remove one.")
        accounts[user] = hashed
    if not accounts:
        raise AccountError(f"The account file names no user. {_ADVICE}")
    return accounts


def read_accounts(auth: str | None, auth_file: str | None) -> dict[str, str] | None:
    """The accounts of --auth USER:PASSWORD or --auth-file FILE; None if neither was given.

    Raises:
        AccountError: neither a user nor a password may be empty; the file is missing, unreadable or malformed.
    """
    if auth is not None:
        user, colon, password = auth.partition(":")
        if not (user.strip() and colon and password):
            raise AccountError("--auth takes USER:PASSWORD, neither empty.")
        return {user.strip(): hash_password(password)}
    if auth_file is None:
        return None
    try:
        return parse_accounts(Path(auth_file).read_text(encoding="utf-8"))
    except OSError as error:
        raise AccountError(f"Cannot read the account file {auth_file}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise AccountError(f"The account file {auth_file} is not text. {_ADVICE}") from None


def checker(accounts: Mapping[str, str]) -> Callable[[str, str], Awaitable[bool]]:
    """The check that Gradio calls at a login: an async function (user, password) -> whether they belong together.

    An unknown user takes as long as a wrong password, and one password is hashed at a time, so that logins cost
    neither the event loop nor much memory.
    """
    unknown_user = hash_password(secrets.token_hex())
    lock = threading.Lock()

    def check(user: str, password: str) -> bool:
        with lock:
            return verify_password(password, accounts.get(user, unknown_user)) and user in accounts

    async def check_in_thread(user: str, password: str) -> bool:
        return await anyio.to_thread.run_sync(check, user, password)

    return check_in_thread


def print_account(user: str) -> int:
    """Ask for a password and print the user's line for the account file.

    Returns:
        The exit code: 0, or 2 if the line could not be used.
    """
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if ":" in user or not user.strip() or user.startswith("#") or not password:
        print(
            "app.py: neither user nor password may be empty, and a user must not contain ':' or begin with #",
            file=sys.stderr,
        )
        return 2
    print(f"{user.strip()}:{hash_password(password)}")
    return 0


def _derive(password: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _is_hash(text: str) -> bool:
    parts = text.split("$")
    if len(parts) != 6 or parts[0] != "scrypt":
        return False
    try:
        n, r, p = map(int, parts[1:4])
        salt, key = (base64.b64decode(part, validate=True) for part in parts[4:])
    except ValueError:
        return False
    # Bounds keep a mistyped cost from taking all memory at the first login.
    return 2 <= n <= 2**20 and n & (n - 1) == 0 and 1 <= r <= 32 and 1 <= p <= 16 and len(salt) >= 8 and len(key) == 32


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
