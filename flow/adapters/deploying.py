"""Which builds deploy what, and where to: one rule for all tools that know neither services nor environments.

A build deploys when it says so in one of two ways:

- by a value of its own, where the tool has such values (build parameters, meta-data): `DEPLOY_ENVIRONMENT=production`,
  also spelt `deploy-environment` or `deployEnvironment`;
- by its name: `deploy`, or `deploy to`, and the environment's name, as in `Deploy to production`, `deploy-staging`,
  `shop/deploy_production` or `:rocket: Deploy production`.

The service is the value `DEPLOY_SERVICE`, else the repository that was built, as `owner/repository`: so deployments
meet the changes that a code host tells of under the same name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from flow.adapters.reading import LONGEST_NAME

PRODUCTION: Final = "production"
"""The environment of an incident whose sender does not say where it was: people are called for production."""

RULE: Final = "names no environment: call it `Deploy to …`"

_LONGEST: Final = 500
_NAME: Final = re.compile(
    r"(?:[^\r\n]*/)?(?:[\W_]|:\+?[a-z0-9][\w+-]{0,49}:)*"
    r"deploy(?:[\s_-]+to)?[\s_:/-]+(?!to[\W_]*$)([^\s/]{1,255})",
    re.IGNORECASE,
)
_SSH: Final = re.compile(r"(?:[\w.-]+@)?[\w.-]+:(?!//)(\S+)")


def name_of(text: object) -> str | None:
    """A name that a payload gives: without spaces around it, or None where it is none, empty or too long."""
    name = text.strip() if isinstance(text, str) else ""
    return name if 0 < len(name) <= LONGEST_NAME else None


def environment_in(*names: str | None) -> str | None:
    """The environment that the first deploying of these names speaks of.

    >>> environment_in("Deploy to production"), environment_in("build", "shop/deploy-staging"), environment_in("deploy")
    ('production', 'staging', None)
    """
    for name in names:
        found = _NAME.fullmatch(name.strip()) if name and len(name) <= _LONGEST else None
        if found:
            return found[1]
    return None


def value_of(values: Mapping[str, object] | None, wanted: str) -> str | None:
    """What a build says of its deployment: `wanted` is `environment`, `service` or another word after `deploy`.

    >>> value_of({"DEPLOY_ENVIRONMENT": "production"}, "environment"), value_of({"deploy-service": " shop "}, "service")
    ('production', 'shop')
    """
    for key, value in (values or {}).items():
        if key.replace("_", "").replace("-", "").casefold() == f"deploy{wanted}":
            return name_of(value)
    return None


def repository_in(address: str | None) -> str | None:
    """The path of a repository's address, as code hosts name it.

    >>> repository_in("git@code.example:acme/shop.git"), repository_in("https://code.example/scm/ACME/shop.git")
    ('acme/shop', 'ACME/shop')
    """
    if not address or len(address) > _LONGEST:
        return None
    address = address.strip()
    ssh = _SSH.fullmatch(address)
    try:
        path = ssh[1] if ssh else urlsplit(address).path
    except ValueError:
        return None
    path = unquote(path).strip("/").removeprefix("scm/").removesuffix(".git")
    return name_of(path)
