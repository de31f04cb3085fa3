"""How a provider's API is reached, by the settings of its source: address, token, how the token is shown to it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final

from flow.errors import SettingsError
from service.provider_client import Access
from service.setting_sections import SourceSettings
from service.settings_environment import environment_name

NAMES: Final[Mapping[str, str]] = {
    "jira": "Jira",
    "github": "GitHub",
    "gitlab": "GitLab",
    "linear": "Linear",
    "asana": "Asana",
    "azure-devops": "Azure DevOps",
}
"""Sources whose API is asked, with their names for people."""

_ADDRESSES: Final[Mapping[str, str]] = {
    "github": "https://api.github.com",
    "gitlab": "https://gitlab.com",
    "linear": "https://api.linear.app",
    "asana": "https://app.asana.com",
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "jira": "https://acme.atlassian.net",
    "azure-devops": "https://dev.azure.com/acme",
}
_LINEAR_KEY: Final = "lin_api_"


def access_of(source: str, settings: SourceSettings | None) -> Access:
    """How to ask this source's API. Raises SettingsError that names every variable which is missing."""
    token = None if settings is None or settings.api_token is None else settings.api_token.get_secret_value().strip()
    url = (settings.api_url if settings else None) or _ADDRESSES.get(source)
    problems = []
    if token is None:
        name = environment_name(("sources", source, "api_token"))
        problems.append(
            f"{name}: is missing: set it to a token that may read, or name a file that holds it: {name}_FILE"
        )
    if url is None:
        name = environment_name(("sources", source, "api_url"))
        problems.append(
            f"{name}: is missing: set it to the address of your {NAMES[source]}, such as {_EXAMPLES[source]}"
        )
    if token is None or url is None:
        raise SettingsError(problems)
    user = settings.api_user if settings else None
    return Access(NAMES[source], url.rstrip("/"), _headers(source, token, user))


def _headers(source: str, token: str, user: str | None) -> dict[str, str]:
    match source:
        case "jira" if user is not None:  # Cloud; Data Center takes a personal access token without a user
            return {"Authorization": _basic(user, token)}
        case "azure-devops":
            return {"Authorization": _basic(user or "", token)}
        case "linear" if token.startswith(_LINEAR_KEY):
            return {"Authorization": token}
        case "github":
            return {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
    return {"Authorization": f"Bearer {token}"}


def _basic(user: str, token: str) -> str:
    return f"Basic {b64encode(f'{user}:{token}'.encode()).decode()}"


def access_problems(source: str, settings: SourceSettings) -> list[str]:
    """What is wrong with how this source is to be asked, one line each."""
    if settings.api_token is None:
        if settings.api_user is None and settings.api_url is None:
            return []
        return [f"{environment_name(('sources', source, 'api_token'))}: is missing: set it, or unset the other two"]
    if source not in NAMES:
        return [f"{environment_name(('sources', source, 'api_token'))}: {source} is not asked: unset it"]
    try:
        access_of(source, settings)
    except SettingsError as error:
        return list(error.problems)
    return []
