"""A token opens one room for one player for a while, and nothing else that looks like one does."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.errors import TokenError, UsageError
from signaling.messages import MAX_TOKEN_BYTES, Join, encode
from signaling.tokens import CLOCK_SKEW, MAX_LIFETIME, Claims, JoinSecret

KEY = b"a secret of thirty-two bytes ..."
SECRET = JoinSecret(KEY)
NOW = 1_800_000_000.0

CLAIMS: dict[str, Any] = {"name": "Ada", "room": "den", "expires": NOW + 60, "id": "1"}


def issue(name: str = "Ada", room: str = "den", lifetime: float = 60, **more: Any) -> str:
    return SECRET.issue(name=name, room=room, lifetime=lifetime, now=NOW, **more)


def why_not(token: Any, room: str = "den", now: float = NOW, secret: JoinSecret = SECRET) -> str:
    """The code with which a token is refused."""
    with pytest.raises(TokenError) as caught:
        secret.verify(token, room=room, now=now)
    return caught.value.code


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(body: bytes, *, version: str = "v1", key: bytes = KEY, digest: str = "sha256") -> str:
    """A token as a back end in another language would make it, whatever is in it."""
    text = f"{version}.{base64url(body)}"
    return f"{text}.{base64url(hmac.new(key, text.encode(), digest).digest())}"


def signed_claims(**changes: Any) -> str:
    return signed(json.dumps(CLAIMS | changes).encode())


def test_a_token_says_who_may_enter_which_room() -> None:
    claims = SECRET.verify(issue(subject="account 7"), room="den", now=NOW)
    assert (claims.name, claims.room, claims.subject) == ("Ada", "den", "account 7")
    assert claims.expires == NOW + 60
    assert SECRET.verify(issue(), room="den", now=NOW).subject is None


def test_two_tokens_for_the_same_player_differ() -> None:
    first, second = (SECRET.verify(issue(), room="den", now=NOW) for _ in range(2))
    assert first.id != second.id


def test_a_token_may_be_used_again_while_it_lives() -> None:
    token = issue()
    assert SECRET.verify(token, room="den", now=NOW) == SECRET.verify(
        token, room="den", now=NOW + 59
    )


@given(
    name=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=16),
    room=st.text(st.sampled_from('abc0-"\\日é'), min_size=1, max_size=20),
    subject=st.none() | st.text(st.sampled_from('x:7"\\再'), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_what_is_issued_reads_as_it_was_meant_and_fits_into_a_join(
    name: str, room: str, subject: str | None
) -> None:
    token = issue(name, room, subject=subject)
    claims = SECRET.verify(token, room=room, now=NOW)
    assert (claims.name, claims.room, claims.subject) == (name, room, subject)
    assert set(token) <= set(base64url(bytes(range(256)))) | set(base64url(b"\xfb\xff")) | {"."}
    encode(Join(room, "x", token=token))


def test_the_longest_claims_fit() -> None:
    token = issue('"' * 64, '"' * 64, subject='"' * 64)
    assert len(token) <= MAX_TOKEN_BYTES
    assert SECRET.verify(token, room='"' * 64, now=NOW).name == '"' * 64


def test_a_text_stands_for_its_bytes() -> None:
    assert JoinSecret(KEY.decode()).verify(issue(), room="den", now=NOW)


def test_a_back_end_in_another_language_needs_hmac_and_json_only() -> None:
    assert SECRET.verify(signed_claims(), room="den", now=NOW) == Claims(
        "Ada", "den", NOW + 60, "1"
    )
    assert SECRET.verify(signed_claims(name="\u65e5", more=[1]), room="den", now=NOW).name == "日"


# --- what is refused -----------------------------------------------------------------------------


def test_each_reason_has_a_code() -> None:
    assert why_not(None) == "token_missing"
    assert why_not(issue(), room="attic") == "token_wrong_room"
    assert why_not(issue(), now=NOW + 60 + CLOCK_SKEW + 1) == "token_expired"
    assert why_not(issue(), secret=JoinSecret(b"another secret of many bytes")) == "token_invalid"


def test_clocks_may_differ_a_little() -> None:
    assert SECRET.verify(issue(), room="den", now=NOW + 60 + CLOCK_SKEW)
    assert SECRET.verify(issue(lifetime=MAX_LIFETIME), room="den", now=NOW - CLOCK_SKEW)


def test_every_change_of_a_single_character_is_noticed() -> None:
    token = issue(subject="account 7")
    for at in range(len(token)):
        # One that differs in its lowest bit only, and one that differs in more.
        for other in {chr(ord(token[at]) ^ 1), "A" if token[at] != "A" else "B", "=", "."}:
            changed = token[:at] + other + token[at + 1 :]
            assert changed == token or why_not(changed) == "token_invalid", (at, other)


def test_every_cut_and_every_addition_is_noticed() -> None:
    token = issue()
    for length in range(len(token)):
        assert why_not(token[:length]) == "token_invalid"
        assert why_not(token[length + 1 :]) == "token_invalid"
    for more in ("=", "A", ".", " ", "\n", "\x00", f".{token}"):
        assert why_not(token + more) == "token_invalid"
        assert why_not(more + token) == "token_invalid"


def test_parts_of_two_tokens_do_not_make_a_third() -> None:
    ada, bob = issue("Ada").split("."), issue("Bob").split(".")
    assert why_not(f"v1.{ada[1]}.{bob[2]}") == "token_invalid"


@pytest.mark.parametrize(
    "token",
    [
        signed(json.dumps(CLAIMS).encode(), version="v2"),
        signed(json.dumps(CLAIMS).encode(), version="none"),
        signed(json.dumps(CLAIMS).encode(), version=""),
        signed(json.dumps(CLAIMS).encode(), digest="sha1"),
        signed(json.dumps(CLAIMS).encode(), digest="md5"),
        signed(json.dumps(CLAIMS).encode(), key=b""),
        f"v1.{base64url(json.dumps(CLAIMS).encode())}.",
        f"v1.{base64url(json.dumps(CLAIMS).encode())}",
        # As JSON Web Tokens would say it: the algorithm is for the token to choose, or none.
        ".".join(
            (
                base64url(b'{"alg":"none","typ":"JWT"}'),
                base64url(json.dumps(CLAIMS).encode()),
                "",
            )
        ),
        signed(json.dumps(CLAIMS | {"alg": "none"}).encode(), key=b"guess"),
    ],
)
def test_nothing_in_a_token_chooses_how_it_is_checked(token: str) -> None:
    assert why_not(token) == "token_invalid"


def test_the_version_is_signed_too() -> None:
    token = signed(json.dumps(CLAIMS).encode(), version="v2")
    assert why_not("v1" + token[2:]) == "token_invalid"


def test_a_huge_token_is_refused_before_anything_is_done_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = json.dumps(CLAIMS | {"name": "x" * 2_000_000}).encode()
    token = signed(body)
    monkeypatch.setattr(hmac, "digest", lambda *_: pytest.fail("it was signed"))
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: pytest.fail("it was decoded"))
    assert why_not(token) == "token_invalid"


def test_claims_are_not_read_before_the_signature_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json, "loads", lambda *_: pytest.fail("claims were read"))
    assert why_not(issue()[:-1] + "!") == "token_invalid"


@pytest.mark.parametrize("token", [b"v1.a.b", 7, ["v1"], "é" * 10, "\ud800", ""], ids=repr)
def test_what_is_no_token_at_all(token: object) -> None:
    assert why_not(token) == "token_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": None},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"room": "r" * 65},
        {"room": 7},
        {"expires": "soon"},
        {"expires": True},
        {"expires": float("nan")},
        {"expires": float("inf")},
        {"expires": -1},
        {"expires": 10**300},
        {"expires": NOW * 1000},
        {"expires": NOW + MAX_LIFETIME + 100},
        {"id": ""},
        {"id": None},
        {"subject": ""},
        {"subject": "x" * 65},
        {"subject": 7},
    ],
    ids=str,
)
def test_a_back_end_that_writes_nonsense_is_told_so(changes: dict[str, Any]) -> None:
    assert why_not(signed_claims(**changes)) == "token_invalid"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 700, b"9" * 700, b"\xef\xbb\xbf{}"], ids=repr
)
def test_signed_nonsense_is_refused(body: bytes) -> None:
    assert why_not(signed(body)) == "token_invalid"
    assert why_not(signed(body).replace("v1.", "v1.\u0661", 1)) == "token_invalid"


@pytest.mark.parametrize("secret", ["", "short", b"fifteen bytes..", 7, None], ids=repr)
def test_a_secret_that_could_be_guessed_is_misuse(secret: Any) -> None:
    with pytest.raises(UsageError, match="join secret"):
        JoinSecret(secret)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "name must have 1 to 64"),
        ({"name": "a\nb"}, "name must not contain"),
        ({"room": "r" * 65}, "room must have 1 to 64"),
        ({"subject": "s" * 65}, "subject must have 1 to 64"),
        ({"lifetime": 0}, "lives up to 86400 s, not 0"),
        ({"lifetime": float("nan")}, "lives up to"),
        ({"lifetime": MAX_LIFETIME * 2}, "lives up to"),
    ],
)
def test_issuing_what_would_be_refused_is_misuse(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        issue(**wrong)


def test_a_secret_does_not_show_in_logs() -> None:
    assert "secret of thirty" not in repr(SECRET)
    assert "v1." not in repr(Join("den", "Ada", token=issue()))
