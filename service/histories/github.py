"""A GitHub repository's issues, pull requests, pushes, deployments, deploying workflows and releases.

REST, version 2022-11-28 (https://docs.github.com/en/rest), one request after the other, as GitHub asks for. Lists are
read whole and sifted here: a filter by state would let things slip from page to page while they change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from flow.adapters.github_deployment_history import facts_of_deployment, facts_of_release, facts_of_run
from flow.adapters.github_history import facts_of_issue, facts_of_pull, facts_of_push
from flow.errors import NotFound, Reason, Rejected
from flow.facts import Fact
from service.histories.pages import Page, Step, Wanted, all_pages, chosen, listed, objects, part
from service.provider_client import Answer, ProviderClient

_PUSHES: Final = frozenset({"push", "force_push", "pr_merge", "merge_queue_merge"})
_NO_COMMIT: Final = "0" * 40
_Told = Callable[[dict[str, Any]], Awaitable[Callable[[], list[Fact]] | None]]
"""Of one object of a list: what makes its facts, or None when it is not wanted."""


async def steps(client: ProviderClient, wanted: Wanted) -> list[Step]:
    """Each list of each repository."""
    found: list[Step] = []
    for name in wanted.names:
        repository = (await client.get(f"/repos/{name}")).content
        full_name, branch = part(repository, "full_name"), part(repository, "default_branch")
        if not isinstance(full_name, str) or not isinstance(branch, str):
            raise Rejected(Reason.INVALID_REQUEST, f"GitHub answers /repos/{name} with something that is no repository")
        found += await _Repository(client, wanted, full_name, branch).steps()
    return found


class _Repository:
    def __init__(self, client: ProviderClient, wanted: Wanted, name: str, branch: str) -> None:
        self._client = client
        self._wanted = wanted
        self._name = name
        self._branch = branch
        self._names = wanted.item_names

    async def steps(self) -> list[Step]:
        """The branch of pushes and the workflows are asked for first."""
        oldest_first = "state=all&sort=created&direction=asc"
        pushes = f"activity?ref={quote(self._branch, safe='')}&direction=asc"
        found = chosen(
            self._wanted,
            [
                ("items", self._step("issues", f"issues?{oldest_first}", self._issue)),
                ("changes", self._step("pull requests", f"pulls?{oldest_first}", self._pull)),
                ("changes", self._step("pushes", pushes, self._push)),
                ("deployments", self._step("deployments", "deployments?", self._deployment)),
                ("deployments", self._step("releases", "releases?", self._release)),
            ],
        )
        if "deployments" in self._wanted.kinds:
            found += [self._workflow(entry) for entry in await self._deploying_workflows()]
        return found

    def _step(self, what: str, path: str, told: _Told, under: str | None = None) -> Step:
        first = f"/repos/{self._name}/{path}&per_page=100".replace("?&", "?")

        async def read(where: str | None) -> Page:
            answer = await self._client.get(where or first)
            return await self._page(answer, what, told, under)

        return Step(f"{self._name}: {what}", read)

    async def _page(self, answer: Answer, what: str, told: _Told, under: str | None) -> Page:
        entries = listed(answer.content, under) if under else objects(answer.content, "GitHub")
        page = Page(read=len(entries), next=answer.next, total=_about(answer))
        for entry in entries:
            try:
                facts = await told(entry)
            except NotFound:  # it went while we read
                continue
            if facts is not None:
                page.tell(f"{what} of {self._name}, number {entry.get('number') or entry.get('id')}", facts)
        return page

    async def _issue(self, issue: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if "pull_request" in issue or not self._is_wanted(issue):
            return None
        events = await self._events(issue) if _may_have_events(issue) else []
        return lambda: facts_of_issue(self._name, issue, events, self._names)

    async def _pull(self, pull: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._is_wanted(pull):
            return None
        events = await self._events(pull) if _may_have_events(pull) else []
        return lambda: facts_of_pull(self._name, pull, events, self._names)

    async def _push(self, activity: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        before, after, at = activity.get("before"), activity.get("after"), activity.get("timestamp")
        kinds = activity.get("activity_type")
        if kinds not in _PUSHES or _NO_COMMIT in {before, after} or not self._wanted.has(at):
            return None
        answer = await self._client.get(f"/repos/{self._name}/compare/{before}...{after}", per_page=100)
        commits = listed(answer.content, "commits")
        while answer.next is not None:
            answer = await self._client.get(answer.next)
            commits += listed(answer.content, "commits")
        return lambda: facts_of_push(self._name, self._branch, at, commits, self._names)

    async def _deployment(self, deployment: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._wanted.has(deployment.get("created_at")):
            return None
        path = f"/repos/{self._name}/deployments/{deployment.get('id')}/statuses"
        statuses = await all_pages(self._client, path)
        return lambda: facts_of_deployment(self._name, deployment, statuses, self._names)

    async def _release(self, release: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._wanted.has(release.get("published_at")):
            return None
        return lambda: facts_of_release(self._name, release, self._names)

    async def _run(self, run: dict[str, Any]) -> Callable[[], list[Fact]] | None:
        if not self._wanted.has(run.get("updated_at")):
            return None
        return lambda: facts_of_run(self._name, run, self._names)

    async def _deploying_workflows(self) -> list[dict[str, Any]]:
        """Those whose name may say that they deploy. None where the token may not see workflows."""
        path = f"/repos/{self._name}/actions/workflows"
        try:
            answer = await self._client.get(path, per_page=100)
        except NotFound:
            return []
        return [entry for entry in listed(answer.content, "workflows") if "deploy" in str(entry.get("name")).casefold()]

    def _workflow(self, workflow: dict[str, Any]) -> Step:
        path = f"actions/workflows/{workflow.get('id')}/runs?"
        return self._step(f"runs of {workflow.get('name')}", path, self._run, "workflow_runs")

    def _is_wanted(self, entry: dict[str, Any]) -> bool:
        return entry.get("state") == "open" or self._wanted.has(entry.get("updated_at"))

    async def _events(self, entry: dict[str, Any]) -> list[Any]:
        return await all_pages(self._client, f"/repos/{self._name}/issues/{entry.get('number')}/events")


def _may_have_events(entry: dict[str, Any]) -> bool:
    """Labels may be there from the start: GitHub tells these apart from the opening."""
    changed = entry.get("state") != "open" or entry.get("updated_at") != entry.get("created_at")
    return changed or bool(entry.get("labels"))


def _about(answer: Answer) -> int | None:
    """How long a list is, about, as the address of its last page tells; where it has only one page, exactly."""
    if answer.last is None:
        return len(answer.content) if isinstance(answer.content, list) and answer.next is None else None
    number = answer.last.partition("&page=")[2] or answer.last.partition("?page=")[2]
    digits = number.partition("&")[0]
    return int(digits) * 100 if digits.isascii() and digits.isdigit() and len(digits) < 8 else None
