"""Credentials that run out by themselves, in the form that coturn knows, and users who stay."""

import pytest

from signaling.credentials import Account, Credential, Credentials, TurnSecret, long_term_key
from signaling.errors import UsageError

NOW = 1_767_139_200.0
SECRET = TurnSecret("north")


def test_the_form_is_the_one_that_coturn_knows() -> None:
    # printf '1767225600:ada' | openssl dgst -sha1 -hmac north -binary | base64
    credential = SECRET.issue("ada", NOW, lifetime=86_400)
    assert credential == Credential("1767225600:ada", "cnpw5st64Td+vhG5dCx/X9lhxLc=")


def test_a_credential_is_good_until_its_time_and_not_longer() -> None:
    credential = SECRET.issue("ada", NOW, lifetime=60)
    account = Account("ada", credential.password)
    assert SECRET.account(credential.username, NOW + 59.9) == account
    assert SECRET.account(credential.username, NOW + 60) is None


@pytest.mark.parametrize(
    "username", ["", "ada", ":ada", "ada:1767225600", "-1:ada", "+9999999999:ada", " 9999999999:a",
                 "٩٩٩٩٩٩٩٩٩٩:ada", "²:ada", "9" * 13 + ":ada", "9" * 5_000]
)  # fmt: skip
def test_usernames_of_another_form_are_nobody(username: str) -> None:
    assert SECRET.account(username, NOW) is None


def test_credentials_of_one_name_count_as_one() -> None:
    first, second = (SECRET.issue("ada:b", NOW + later) for later in (0, 5))
    assert first.username != second.username
    accounts = [SECRET.account(each.username, NOW) for each in (first, second)]
    assert [account and account.name for account in accounts] == ["ada:b", "ada:b"]


def test_another_secret_makes_another_password() -> None:
    assert TurnSecret("south").issue("ada", NOW).password != SECRET.issue("ada", NOW).password


def test_users_stay_and_come_before_the_secret() -> None:
    credentials = Credentials(SECRET, {"guest": "pw", "9999999999:ada": "fixed"})
    assert credentials.account("guest", NOW) == Account("guest", "pw")
    assert credentials.account("9999999999:ada", NOW) == Account("9999999999:ada", "fixed")
    assert credentials.account("nobody", NOW) is None
    issued = SECRET.issue("ada", NOW)
    assert credentials.account(issued.username, NOW) == Account("ada", issued.password)


def test_without_a_secret_only_users_are_known() -> None:
    issued = SECRET.issue("ada", NOW)
    assert Credentials(users={"guest": "pw"}).account(issued.username, NOW) is None


def test_misuse_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="secret"):
        TurnSecret("")
    with pytest.raises(UsageError, match="nobody could use it"):
        Credentials()
    with pytest.raises(UsageError, match="one line"):
        SECRET.issue("a\nb", NOW)
    for lifetime in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="lifetime"):
            SECRET.issue("ada", NOW, lifetime)


def test_secrets_are_in_no_repr() -> None:
    credential = SECRET.issue("ada", NOW)
    assert credential.password not in repr(credential)
    assert credential.password not in repr(SECRET.account(credential.username, NOW))


def test_the_key_of_the_rfc() -> None:
    # RFC 8489, 9.2.2: printf 'user:realm:pass' | md5sum
    assert long_term_key("user", "realm", "pass").hex() == "8493fbc53ba582fb4c044c456bdc40eb"
