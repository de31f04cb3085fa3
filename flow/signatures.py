"""Who sent this? Signature schemes as data, and the one function that checks them all.

Every signature is over the bytes as received. A scheme without a time of its own accepts a captured request again and
again; that is harmless here, because the same body makes the same facts under the same ids.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from flow.errors import Reason, Unauthorised
from flow.instants import DAY, MINUTE, SECOND
from flow.web_tokens import verify_token

_PLACE: Final = re.compile(r"(\{\w+\})")
_WHOLE_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How one kind of sender proves itself. Header names are in lower case.

    `algorithm` None means that the secret itself is sent. The header's value is split at `separator`, if there is one,
    and the parts that start with `prefix` are the signatures: one that matches is enough. `signed` is a template with
    {body}, {id}, {timestamp} and {url}. The time is taken from the part of `timestamp_header` that starts with
    `timestamp_prefix`, in seconds, and may be off by `tolerance` milliseconds either way. `key` says whether the secret
    is taken as it is, or decoded from base64 after `whsec_`. `url` is the address that the sender was told to call.
    `body_time` is the member of the signed JSON that says when it was sent, in milliseconds. `jwt` is a token in the
    Authorization header, which does not cover the body. `otherwise` is used for a request without this scheme's header,
    and where a secret itself is sent, for one without its prefix.
    """

    header: str
    algorithm: Literal["sha256", "sha1", "jwt"] | None = "sha256"
    encoding: Literal["hex", "base64", "text"] = "hex"
    prefix: str = ""
    separator: str | None = None
    signed: str = "{body}"
    id_header: str = ""
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    body_time: str = ""
    tolerance: int = 5 * MINUTE
    key: Literal["text", "whsec"] = "text"
    url: str = ""
    otherwise: SignatureScheme | None = None

    def calling(self, url: str) -> SignatureScheme:
        """The same scheme for a sender that signs the address which it was told to call, exactly as registered."""
        return replace(self, url=url)


def _secret_in(header: str, prefix: str = "", encoding: Literal["base64", "text"] = "text") -> SignatureScheme:
    return SignatureScheme(header, algorithm=None, prefix=prefix, encoding=encoding)


BEARER: Final = _secret_in("authorization", prefix="Bearer ")
BASIC: Final = _secret_in("authorization", prefix="Basic ", encoding="base64")
"""HTTP Basic: the secret is `user:password`."""

SHARED: Final = replace(BEARER, otherwise=BASIC)
"""Of senders that don't sign but send what they are told to: as a bearer token, or as `user:password`."""

STANDARD_WEBHOOKS: Final = SignatureScheme(
    "webhook-signature",
    encoding="base64",
    prefix="v1,",
    separator=" ",
    signed="{id}.{timestamp}.{body}",
    id_header="webhook-id",
    timestamp_header="webhook-timestamp",
    key="whsec",
)
"""https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

_HUB: Final = SignatureScheme("x-hub-signature", prefix="sha256=")
_HUB_256: Final = SignatureScheme("x-hub-signature-256", prefix="sha256=")

SCHEMES: Final[Mapping[str, SignatureScheme]] = {
    "alertmanager": SHARED,
    "argocd": SHARED,
    "asana": SignatureScheme("x-hook-signature"),
    "azure-devops": SHARED,
    "bitbucket-cloud": _HUB,
    "bitbucket-datacenter": replace(_HUB, otherwise=BASIC),
    "buildkite": SignatureScheme(
        "x-buildkite-signature",
        prefix="signature=",
        separator=",",
        signed="{timestamp}.{body}",
        timestamp_header="x-buildkite-signature",
        timestamp_prefix="timestamp=",
        otherwise=_secret_in("x-buildkite-token"),
    ),
    "cdevents": SHARED,
    "circleci": SignatureScheme("circleci-signature", prefix="v1=", separator=","),
    "clickup": SignatureScheme("x-signature"),
    "devlake": SHARED,
    "github": _HUB_256,
    "gitlab": replace(STANDARD_WEBHOOKS, otherwise=_secret_in("x-gitlab-token")),
    "jenkins": SHARED,
    "jira": replace(_HUB, otherwise=SignatureScheme("authorization", algorithm="jwt")),
    "linear": SignatureScheme("linear-signature", body_time="webhookTimestamp", tolerance=DAY),
    "opsgenie": SHARED,
    "pagerduty": SignatureScheme("x-pagerduty-signature", prefix="v1=", separator=","),
    "pelorus": _HUB_256,
    "plane": SignatureScheme("x-plane-signature"),
    "trello": SignatureScheme("x-trello-webhook", algorithm="sha1", encoding="base64", signed="{body}{url}"),
}
"""The scheme of each sender. Trello's needs the callback address: `SCHEMES["trello"].calling(address)`."""


def verify(
    scheme: SignatureScheme, secrets: Sequence[str | bytes], headers: Mapping[str, str], body: bytes, now: int
) -> None:
    """Return when one of the secrets proves the request; several are for rotation. `now` is in milliseconds.

    Header names are in lower case, values are Latin-1 text as web servers give them. Raises Unauthorised: source_off
    without any secret that can be used, missing_signature, bad_signature, or old_timestamp for a good signature whose
    time is not near `now`.
    """
    if scheme.otherwise is not None and not _is_used(scheme, headers.get(scheme.header, "")):
        scheme = scheme.otherwise
    keys = list(_keys(scheme, secrets))
    if not keys:
        raise Unauthorised(Reason.SOURCE_OFF, "no usable secret is set for this source: set one, then send again")
    value = headers.get(scheme.header, "")
    if not value.strip():
        raise Unauthorised(Reason.MISSING_SIGNATURE, f"the header {scheme.header} is missing")
    if scheme.algorithm == "jwt":
        verify_token(value, keys, now)
        return
    claimed = list(_parts(value, scheme.prefix, scheme.separator))
    proofs = _expected(scheme, keys, headers, body)
    if not _any_equal(scheme, claimed, proofs):
        raise Unauthorised(Reason.BAD_SIGNATURE, f"the header {scheme.header} does not prove this body with our secret")
    signed_at = _signed_time(scheme, headers, body)
    if signed_at is not None and abs(now - signed_at) > scheme.tolerance:
        raise Unauthorised(
            Reason.OLD_TIMESTAMP,
            f"signed more than {scheme.tolerance // SECOND} s from our time: check both clocks, or send it anew",
        )


def secret_in_header(header: str) -> SignatureScheme:
    """The scheme of a sender that sends the secret itself in a header of this name, which is in lower case."""
    return _secret_in(header)


def _is_used(scheme: SignatureScheme, value: str) -> bool:
    """A signature that is there is the one that counts; of two ways to send a secret the prefix tells which it is."""
    return bool(value) and (scheme.algorithm is not None or any(True for _ in _parts(value, scheme.prefix, None)))


def _keys(scheme: SignatureScheme, secrets: Sequence[str | bytes]) -> Iterator[bytes]:
    if "{url}" in scheme.signed and not scheme.url:
        raise Unauthorised(Reason.SOURCE_OFF, "this source signs the address that it calls: set that address")
    for secret in secrets:
        key = secret.encode("utf-8", "replace") if isinstance(secret, str) else secret
        if scheme.key == "whsec":
            try:
                key = b64decode(key.removeprefix(b"whsec_"), validate=True)
            except binascii.Error:
                continue
        if key.strip():
            yield key


def _expected(scheme: SignatureScheme, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """What the sender would have put into the header with each of the keys."""
    if scheme.algorithm is None or scheme.algorithm == "jwt":
        return list(keys)
    places = {"{body}": body, "{url}": scheme.url.encode()}
    if scheme.id_header:
        places["{id}"] = _header_bytes(headers.get(scheme.id_header, ""))
    if scheme.timestamp_header:
        places["{timestamp}"] = _timestamp(scheme, headers)
    message = b"".join(places.get(part, part.encode()) for part in _PLACE.split(scheme.signed))
    digests = [hmac.digest(key, message, scheme.algorithm) for key in keys]
    return [b64encode(digest) if scheme.encoding == "base64" else digest.hex().encode() for digest in digests]


def _any_equal(scheme: SignatureScheme, claimed: Sequence[bytes], proofs: Sequence[bytes]) -> bool:
    """Compares every pair in constant time. A Basic credential is compared decoded, for its padding may differ."""
    found = False
    for claim in (_comparable(scheme, claim) for claim in claimed):
        for proof in proofs:
            found |= bool(claim) and hmac.compare_digest(claim, proof)
    return found


def _comparable(scheme: SignatureScheme, claim: bytes) -> bytes:
    if scheme.encoding == "hex":
        return claim.lower()
    return _decoded(claim) if scheme.encoding == "base64" and scheme.algorithm is None else claim


def _signed_time(scheme: SignatureScheme, headers: Mapping[str, str], body: bytes) -> int | None:
    if scheme.body_time:
        return _time_in(scheme.body_time, body)
    if not scheme.timestamp_header:
        return None
    timestamp = _timestamp(scheme, headers).decode("latin-1")
    if not _WHOLE_SECONDS.fullmatch(timestamp):
        raise Unauthorised(Reason.OLD_TIMESTAMP, f"the time in {scheme.timestamp_header} is missing or not in seconds")
    return int(timestamp) * SECOND


def _time_in(member: str, body: bytes) -> int:
    try:
        found = _MEMBERS.decode(body)[member]
        return msgspec.json.decode(found, type=int)
    except (KeyError, ValueError, RecursionError):
        raise Unauthorised(Reason.OLD_TIMESTAMP, f"{member} in the body is missing or not in milliseconds") from None


def _timestamp(scheme: SignatureScheme, headers: Mapping[str, str]) -> bytes:
    separator = scheme.separator if scheme.timestamp_header == scheme.header else None
    value = headers.get(scheme.timestamp_header, "")
    return next(_parts(value, scheme.timestamp_prefix, separator), b"")


def _parts(value: str, prefix: str, separator: str | None) -> Iterator[bytes]:
    """The parts of a header's value behind the prefix, which is compared without regard to case."""
    for part in map(str.strip, value.split(separator) if separator else [value]):
        if part[: len(prefix)].lower() == prefix.lower():
            yield _header_bytes(part[len(prefix) :].strip())


def _header_bytes(text: str) -> bytes:
    """The bytes that were sent: a web server hands them over as Latin-1 text. Other text can match nothing."""
    return text.encode("latin-1", "replace")


def _decoded(credential: bytes) -> bytes:
    try:
        return b64decode(credential + b"=" * (-len(credential) % 4), validate=True)
    except binascii.Error:
        return b""
