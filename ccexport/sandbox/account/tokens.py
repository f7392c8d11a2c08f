"""Sign-in codes, access tokens and refresh tokens: what is valid, and for whom.

Refresh tokens rotate: each works once, and a new set makes all earlier ones of that person and
application worthless, without any grace.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

CODE_SECONDS = 300
REFRESH_SECONDS = 180 * 86_400


@dataclass(frozen=True)
class Consent:
    """A code that was handed out, and what has to fit when it is exchanged."""

    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    person: str
    challenge: str
    expires_at: float


@dataclass(frozen=True)
class Grant:
    """What a token allows: to whom it was given, for what, until when (epoch seconds)."""

    client_id: str
    person: str
    scopes: frozenset[str]
    expires_at: float


@dataclass(frozen=True)
class IssuedTokens:
    access_token: str
    refresh_token: str | None
    scopes: frozenset[str]


class TokenBook:
    """All codes and tokens; counters tell what happened without telling a token."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._codes: dict[str, Consent] = {}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._spent: set[str] = set()
        self.counters = dict.fromkeys(
            ("issued", "refreshed", "spent_refresh_tokens_used", "spent_codes_used", "revoked"), 0
        )

    def new_code(self, consent: Consent) -> str:
        code = secrets.token_urlsafe(24)
        self._codes[code] = consent
        return code

    def code_expiry(self) -> float:
        return self._clock() + CODE_SECONDS

    def take_code(self, code: str) -> Consent | None:
        """The consent behind a code, once; None when it is unknown, used or too old."""
        consent = self._codes.pop(code, None)
        if consent is None:
            self.counters["spent_codes_used"] += 1
            return None
        return consent if self._clock() < consent.expires_at else None

    def issue(self, grant: Grant, with_refresh: bool) -> IssuedTokens:
        """A new set for this grant; earlier refresh tokens die if it has a refresh token."""
        access = _jwt(grant)
        self._access[_digest(access)] = grant
        self.counters["issued"] += 1
        refresh = None
        if with_refresh and "offline_access" in grant.scopes:
            self._kill_refresh_tokens(grant)
            refresh = secrets.token_urlsafe(31)
            lives_until = self._clock() + REFRESH_SECONDS
            self._refresh[_digest(refresh)] = Grant(
                grant.client_id, grant.person, grant.scopes, lives_until
            )
        return IssuedTokens(access, refresh, grant.scopes)

    def grant_of_refresh(self, refresh_token: str, client_id: str) -> Grant | None:
        """What a refresh token stands for, if it still does; it is not used up by asking."""
        digest = _digest(refresh_token)
        grant = self._refresh.get(digest)
        if grant is None:
            self.counters["spent_refresh_tokens_used"] += digest in self._spent
            return None
        fits = grant.client_id == client_id and self._clock() < grant.expires_at
        return grant if fits else None

    def grant_of_access(self, access_token: str) -> Grant | None:
        grant = self._access.get(_digest(access_token))
        return grant if grant and self._clock() < grant.expires_at else None

    def revoke_all(self) -> None:
        """Nothing that was handed out works any longer."""
        self.counters["revoked"] += len(self._refresh)
        self._spent.update(self._refresh)
        self._refresh.clear()
        self._access.clear()
        self._codes.clear()

    def _kill_refresh_tokens(self, grant: Grant) -> None:
        dead = [
            digest
            for digest, other in self._refresh.items()
            if (other.client_id, other.person) == (grant.client_id, grant.person)
        ]
        for digest in dead:
            del self._refresh[digest]
        self._spent.update(dead)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _jwt(grant: Grant) -> str:
    """A string that looks like the real thing: three parts, about 1,100 characters."""
    claims = {
        "ver": 1,
        "iss": "https://identity.constantcontact.com/oauth2/default",
        "sub": grant.person,
        "cid": grant.client_id,
        "scp": sorted(grant.scopes),
        "exp": int(grant.expires_at),
        "jti": secrets.token_urlsafe(24),
    }
    head = {"kid": secrets.token_urlsafe(32), "alg": "RS256"}
    return ".".join((_part(head), _part(claims), secrets.token_urlsafe(480)))


def _part(data: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")
