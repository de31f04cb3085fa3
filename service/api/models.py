"""Shapes that several answers share. Times are in seconds, instants RFC 3339; null where there is nothing to say."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from service.problems import MEDIA_TYPE

Number = int | float


class Answer(BaseModel):
    """Base of all: what is not described is not answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Times(Answer):
    """A distribution of durations. `count` and `mean` are exact, quantiles at most 5% off."""

    count: int = Field(description="Observations")
    mean: float | None
    p50: float | None
    p85: float | None
    p95: float | None


class ParameterProblem(Answer):
    """One thing that is wrong with a request."""

    where: str = Field(description="Place in the request", examples=["query.window"])
    what: str = Field(description="What is wrong, and what to write instead")


class Problem(Answer):
    """An error, as RFC 9457 problem details. `reason` is one of a fixed set of words."""

    type: str
    title: str
    status: int
    detail: str
    reason: str | None = None
    problems: list[ParameterProblem] | None = None


def times_example(count: int, mean: float) -> dict[str, Any]:
    """A plausible distribution, for documentation."""
    return {"count": count, "mean": mean, "p50": mean * 0.75, "p85": mean * 1.5, "p95": mean * 2.5}


_DESCRIPTIONS: Final = {
    400: "The request can't be answered as it is; `detail` says why",
    401: "No token, or one that is not known",
    404: "Nothing goes by that name; `detail` says which names come near",
    422: "A parameter is not what it should be; `problems` names each",
    503: "The state can't be read now; try again after `Retry-After` seconds",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can end in these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def example(value: Any) -> ConfigDict:
    """The configuration of a model with an example."""
    return ConfigDict(json_schema_extra={"examples": [value]})
