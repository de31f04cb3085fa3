"""What STREAMGAUGE_REDIS__URL may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from flow.errors import SettingsError
from service.command_line.check_command import summary
from service.redis_address import Kind, parse_address
from service.redis_client import connect
from service.redis_nodes import key_of
from service.settings import Settings
from tests.integration.several_streams import DEFINITIONS

SECRET = "hunter2"


def test_one_server_is_read_as_the_client_reads_it():
    address = parse_address("redis://ann:p%40ss@cache.example:6380/2")
    assert (address.kind, address.transport, address.hosts) == (Kind.SERVER, "redis", (("cache.example", 6380),))
    assert address.options["username"] == "ann"
    assert address.options["password"] == "p@ss"
    assert address.options["db"] == 2
    assert parse_address("rediss://cache.example").described() == "one server at cache.example:6379, over TLS"
    assert parse_address("unix:///run/valkey.sock?db=1").described() == "one server at /run/valkey.sock"


def test_a_cluster_has_hosts_and_no_database():
    address = parse_address(f"redis+cluster://ann:{SECRET}@a.example:7000,b.example,[::1]:7002?socket_timeout=3")
    assert (address.kind, address.transport) == (Kind.CLUSTER, "redis")
    assert address.hosts == (("a.example", 7000), ("b.example", 6379), ("::1", 7002))
    assert address.options == {"username": "ann", "password": SECRET, "socket_timeout": 3.0}
    assert address.described() == "a cluster, asked for at a.example:7000, b.example:6379, [::1]:7002"


def test_sentinel_has_the_name_of_a_master_and_a_password_of_its_own():
    url = (
        f"rediss+sentinel://:{SECRET}@a.example,b.example:26380/flow%20state/1?sentinel_password=other&ssl_ca_certs=/ca"
    )
    address = parse_address(url)
    assert (address.kind, address.transport, address.master) == (Kind.SENTINEL, "rediss", "flow state")
    assert address.hosts == (("a.example", 26379), ("b.example", 26380))
    assert address.options == {"password": SECRET, "db": 1, "ssl_ca_certs": "/ca"}
    assert address.sentinel_options == {"password": "other", "ssl_ca_certs": "/ca"}
    described = address.described()
    assert described == "master flow state of the Sentinels at a.example:26379, b.example:26380, over TLS"


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        (f"http://:{SECRET}@cache", "is not the URL of a Redis or Valkey: write redis://host:6379/0"),
        (f"redis+cluster:{SECRET}", "is not the URL of a Redis or Valkey"),
        (f"unix+cluster://{SECRET}", "is not the URL of a Redis or Valkey"),
        ("redis://", "is not the URL of a Redis or Valkey"),
        (f"redis+cluster://:{SECRET}@a/3", "has only the one: leave out what follows the hosts"),
        (f"redis+cluster://:{SECRET}@a?db=3", "has only the one"),
        (f"redis+cluster://:{SECRET}@a,,b", "write host:port, separate hosts by commas"),
        (f"redis+cluster://:{SECRET}@a:port", "write host:port"),
        (f"redis+cluster://:{SECRET}@a:99999", "write host:port"),
        (f"redis+cluster://ann:{SECRET}/x@a", "in a password as %2F %3F %23 %40"),
        (f"redis+sentinel://:{SECRET}@a:26379", "names no master: write the name that the Sentinels know it by"),
        (f"redis+sentinel://:{SECRET}@a/gauge/x", "has a database that is no number"),
        (f"redis://:{SECRET}@a:99999", "has a port or an option with a wrong value"),
        (f"redis://:{SECRET}@a?{SECRET}=1", "has an option that the client doesn't know: see docs/redis.md"),
        (f"redis+sentinel://a/gauge?ssl_ca_certs=/{SECRET}", "has an option that the client doesn't know"),
        (f"redis+cluster://a?socket_timeout={SECRET}", "has a port or an option with a wrong value"),
    ],
)
def test_what_is_wrong_is_told_with_the_fix_and_nothing_of_the_url(url, fix):
    with pytest.raises(SettingsError) as caught:
        Settings.load({"STREAMGAUGE_REDIS__URL": url})
    [problem] = caught.value.problems
    assert problem.startswith("STREAMGAUGE_REDIS__URL: ")
    assert fix in problem
    assert SECRET not in problem


def test_check_tells_where_redis_is_and_no_password():
    url = f"redis+sentinel://:{SECRET}@a.example,b.example/gauge?sentinel_password={SECRET}"
    lines = summary(Settings.load({"STREAMGAUGE_REDIS__URL": url}), DEFINITIONS)
    assert any("names master gauge of the Sentinels at a.example:26379, b.example:26379" in line for line in lines)
    assert SECRET not in "\n".join(lines)


async def test_a_client_never_shows_a_password():
    for url in (
        f"redis+cluster://:{SECRET}@127.0.0.1:1,127.0.0.1:2",
        f"redis+sentinel://:{SECRET}@127.0.0.1:1/gauge?sentinel_password={SECRET}",
        f"rediss+cluster://:{SECRET}@127.0.0.1:1",
        f"rediss+sentinel://:{SECRET}@127.0.0.1:1/gauge",
    ):
        client = connect(url)
        with pytest.raises(RedisConnectionError) as caught:
            await client.get("sg:v1:{a}:1")
        assert SECRET not in str(caught.value)
        await client.aclose()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("GET", "{a}1"), b"{a}1"),
        (("HMGET", b"{a}1", "f"), b"{a}1"),
        (("EVALSHA", "0" * 40, 2, "{a}1", "{a}2", "x"), b"{a}1"),
        (("XREAD", b"COUNT", b"9", b"BLOCK", b"250", b"STREAMS", "{a}1", "0-0"), b"{a}1"),
        (("XREAD", "STREAMS", "{a}1", "0-0"), b"{a}1"),
        (("SCAN", 0, b"MATCH", r"sg:v1:{\[a}:*", b"COUNT", 9), b"sg:v1:{[a}:*"),
        (("MEMORY USAGE", "{a}1"), b"{a}1"),
    ],
)
def test_a_command_finds_its_node_by_its_key(words, key):
    assert key_of(words) == key


@pytest.mark.parametrize("words", [("PING",), ("SCRIPT LOAD", "return 1"), ("SCAN", 0), ("CONFIG GET", "*")])
def test_a_command_without_a_key_is_refused_before_it_goes_anywhere(words):
    with pytest.raises(RedisError, match=r"has no key|hash tag"):
        key_of(words)
