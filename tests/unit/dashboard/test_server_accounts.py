"""Passwords: hashes, the account file, logins."""

import asyncio
import base64
import hashlib
import io
from pathlib import Path

import pytest

from dashboard.server.accounts import (
    AccountError,
    checker,
    hash_password,
    parse_accounts,
    print_account,
    read_accounts,
    verify_password,
)

#: scrypt's own test vector (RFC 7914, section 12): password "pleaseletmein", salt "SodiumChloride", N 16384, r 8, p 1.
VECTOR = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")


def test_the_hash_is_scrypt() -> None:
    salt = base64.b64encode(b"SodiumChloride").decode()
    hashed = f"scrypt$16384$8$1${salt}${base64.b64encode(VECTOR).decode()}"
    assert verify_password("pleaseletmein", hashed)
    assert not verify_password("pleaseletmeout", hashed)


def test_a_hash_fits_its_password_only_and_no_two_are_alike() -> None:
    first, second = hash_password("grüße:1"), hash_password("grüße:1")
    assert first != second and "grüße" not in first
    assert verify_password("grüße:1", first) and verify_password("grüße:1", second)
    assert not verify_password("", first)


def test_the_one_liner_of_the_documentation_makes_a_valid_line() -> None:
    salt = b"0123456789abcdef"
    key = hashlib.scrypt(b"secret", salt=salt, n=16384, r=8, p=1)[:32]
    parts = "$".join(base64.b64encode(part).decode() for part in (salt, key))
    assert verify_password("secret", parse_accounts(f"anna:scrypt$16384$8$1${parts}")["anna"])


def test_an_account_file(tmp_path: Path) -> None:
    anna, bo = hash_password("a"), hash_password("b")
    path = tmp_path / "accounts"
    path.write_text(f"# the team\n\nanna:{anna}\n  bo : {bo}\n")
    assert read_accounts(None, str(path)) == {"anna": anna, "bo": bo}
    assert read_accounts(None, None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "names no user"),
        ("anna:secret", "Line 1"),
        ("anna", "Line 1"),
        (":" + hash_password("x"), "Line 1"),
        ("anna:scrypt$3$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAA", "Line 1"),
        ("anna:" + hash_password("x").replace("$16384$", "$1073741824$"), "Line 1"),
        ("\n".join(["anna:" + hash_password("x")] * 2), "Line 2"),
    ],
    ids=["empty", "plain", "no hash", "no user", "bad cost", "huge cost", "twice"],
)
def test_a_bad_account_file_is_reported_without_its_content(text: str, expected: str) -> None:
    with pytest.raises(AccountError, match=expected) as error:
        parse_accounts(text)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("auth", ["", "anna", ":secret", "anna:", "  :secret"])
def test_a_bad_flag_is_reported_without_the_password(auth: str) -> None:
    with pytest.raises(AccountError, match="USER:PASSWORD") as error:
        read_accounts(auth, None)
    assert "secret" not in str(error.value)


def test_the_checker_knows_users_and_passwords() -> None:
    accounts = read_accounts("anna:a:b", None)
    assert accounts is not None and "a:b" not in str(accounts)
    check = checker(accounts)

    async def ask() -> list[bool]:
        return [await check(*pair) for pair in (("anna", "a:b"), ("anna", "a"), ("bo", "a:b"), ("", ""))]

    assert asyncio.run(ask()) == [True, False, False, False]


def test_hash_password_prints_a_line_for_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    assert print_account("anna") == 0
    out = capsys.readouterr().out
    assert "secret" not in out and verify_password("secret", parse_accounts(out)["anna"])
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert print_account("anna") == 2
