"""The settings of the bridge: which outside topics it reads, how the records of each are read, and where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from flow.instants import MINUTE, SECOND
from flow.records import KINDS
from service.kafka_settings import ClusterSettings, KafkaSettings, topic_name
from service.setting_values import Duration, Shown

_EXAMPLE: Final = "jira.events:jira,ci.events:header,cd.events:cloudevents,flow.facts:facts"


def parse_topics(text: str) -> Mapping[str, str]:
    """What kind of records each topic holds, from `topic:kind,topic:kind`. Raises ValueError with the fix.

    >>> parse_topics("jira.events:jira, flow.facts:facts")
    {'jira.events': 'jira', 'flow.facts': 'facts'}
    """
    found: dict[str, str] = {}
    problems = []
    for number, entry in enumerate(text.split(","), 1):
        topic, _, kind = (part.strip() for part in entry.partition(":"))
        problem = _entry_problem(topic, kind, found)
        if problem:
            problems.append(f"entry {number}{problem}")
        found[topic] = kind
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _entry_problem(topic: str, kind: str, found: Mapping[str, str]) -> str:
    if not (topic and kind):
        return f" is not topic:kind: write topic:kind, as in {_EXAMPLE}"
    try:
        topic_name(topic)
    except ValueError as error:
        return f": {topic[:50]!r} {error}"
    if topic in found:
        return f": {topic} is there already: name each topic once"
    return "" if kind in KINDS else f": there is no kind {kind[:50]!r}: {_meant(kind)}"


def _meant(kind: str) -> str:
    close = get_close_matches(kind, KINDS, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of {', '.join(sorted(KINDS))}"


def _topics(value: object) -> object:
    return parse_topics(value) if isinstance(value, str) else value


def _shown(topics: Mapping[str, str]) -> str:
    return ",".join(f"{topic}:{kind}" for topic, kind in topics.items()) or "none"


TopicKinds = Annotated[Mapping[str, str], BeforeValidator(_topics), Shown(_shown)]


class BridgeSettings(ClusterSettings):
    """The bridge from outside topics. Without bootstrap servers of its own they are on the cluster of the log.

    `source_header`: the header that says what a record of a topic of kind `header` is. `start`: where a group that is
    new begins. `session_timeout`: how long a bridge may be silent before others take its partitions.
    """

    PREFIX: ClassVar[str] = "STREAMGAUGE_BRIDGE__"

    topics: TopicKinds = Field(default_factory=dict)
    source_header: str = Field(default="source", min_length=1, max_length=255)
    group: str = Field(default="streamgauge-bridge", min_length=1, max_length=255)
    start: Literal["earliest", "latest"] = "earliest"
    session_timeout: Duration = Field(default=10 * SECOND, ge=SECOND, le=5 * MINUTE)

    @field_validator(
        "security_protocol", "username", "password", "token_file", "ca_file", "certificate_file", "key_file"
    )
    @classmethod
    def _with_own_servers(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("bootstrap_servers", "") is None and value not in {None, "PLAINTEXT"}:
            raise ValueError(
                f"is used only with servers of the bridge's own: set {cls.PREFIX}BOOTSTRAP_SERVERS, or unset it; "
                "the log's cluster is reached as STREAMGAUGE_KAFKA__… says"
            )
        return value


def bridge_problems(bridge: BridgeSettings, kafka: KafkaSettings) -> Iterator[str]:
    """What is wrong between the bridge and the log, as far as the settings show that both are on one cluster."""
    if kafka.bootstrap_servers is not None and bridge.bootstrap_servers in {None, kafka.bootstrap_servers}:
        yield from clashes(bridge, kafka)


def clashes(bridge: BridgeSettings, kafka: KafkaSettings) -> Iterator[str]:
    """What can't be on one cluster: the bridge must never read what it writes."""
    for topic in (kafka.facts_topic, kafka.dead_letters_topic):
        if topic in bridge.topics:
            yield f"STREAMGAUGE_BRIDGE__TOPICS: {topic} is a topic of the log itself: take it out, or rename the log's"
    if bridge.group == kafka.group:
        yield "STREAMGAUGE_BRIDGE__GROUP: is the group of the log's workers too: give the bridge a group of its own"


def cluster_of_bridge(bridge: BridgeSettings, kafka: KafkaSettings) -> ClusterSettings | None:
    """Where the outside topics are. None: nobody said."""
    if bridge.bootstrap_servers is not None:
        return bridge
    return kafka if kafka.bootstrap_servers is not None else None
