"""The set-up in containers: right by the schema, closed by default, and at one with the rest of the project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

import jsonschema_rs
import pytest
import yaml

from service.settings import Settings
from tests.composition import COMPOSE, ROOT, loaded, mounts, small, whole

FILES: Final = ("compose.yaml", "small.yaml", "kafka.yaml")
SETUPS: Final = {"whole": whole(), "small": small()}
SERVICES: Final = [
    pytest.param(setup["services"][name], id=f"{size}-{name}")
    for size, setup in SETUPS.items()
    for name in setup["services"]
]
OURS: Final = ("serve", "aggregate", "demo", "topics", "bridge")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A copy of the folder in which prepare.sh was run."""
    folder: Path = tmp_path_factory.mktemp("compose") / "compose"
    shutil.copytree(COMPOSE, folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    subprocess.run(["sh", "prepare.sh"], cwd=folder, check=True, capture_output=True, timeout=100)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_files_follow_the_specification_of_compose(name):
    schema = json.loads((ROOT / "tests" / "compose-spec.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    assert [str(error) for error in validator.iter_errors(yaml.safe_load((COMPOSE / name).read_text()))] == []
    assert not validator.is_valid({"services": {"serve": {"command": ["serve"], "read-only": True}}})


@pytest.mark.parametrize("name", ["compose.yaml", "small.yaml"])
def test_compose_itself_takes_them_where_it_is_there(name, prepared):
    asked = [*("docker", "compose"), "--file", str(COMPOSE / name), "--profile", "*", "config", "--quiet"]
    if (
        shutil.which("docker")
        and not subprocess.run([*asked[:2], "version"], capture_output=True, check=False).returncode
    ):
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=100)
        assert (done.returncode, done.stderr) == (0, "")


# --- closed by default -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_can_do_no_more_than_it_must(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "network_mode", "devices"} & service.keys()
    assert service.get("user", "10001") != "0"


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_bounded_and_comes_back(service):
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert re.fullmatch(r"unless-stopped|on-failure:\d+", service["restart"])


@pytest.mark.parametrize("service", SERVICES)
def test_only_this_machine_reaches_what_is_published(service):
    assert [port for port in service.get("ports", []) if not str(port).startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_gets_a_secret_but_as_a_file(service):
    told = service.get("environment", {})
    secret = re.compile(r"(SECRET|PASSWORD|TOKENS?|REDIS__URL)$")
    assert [name for name in told if secret.search(name)] == []
    for name in told:
        if name.endswith("_FILE"):
            assert told[name].removeprefix("/run/secrets/") in service["secrets"], name


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_from_this_machine_is_there_and_can_only_be_read(service):
    for entry in service.get("volumes", []):
        if isinstance(entry, dict):
            assert entry["read_only"] is True
            made = entry["source"].startswith("./secrets/")
            assert made or (COMPOSE / entry["source"]).exists(), entry


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_the_log_and_the_state_reach_nothing_outside(setup):
    assert setup["networks"]["state"] == {"internal": True}
    inside = {name for name, service in setup["services"].items() if service["networks"] == ["state"]}
    assert inside == {"valkey", "aggregate", "kafka", "topics"} & setup["services"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_images_have_a_version(service):
    name, _, version = service["image"].rpartition(":")
    assert name
    assert version == "local" or re.match(r"v?\d+\.\d+", version)


# --- in order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_who_waits_for_health_waits_for_somebody_who_is_asked(setup):
    services = setup["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            checked = "test" in services[other].get("healthcheck", {})
            assert checked == (services[other]["restart"] == "unless-stopped"), (name, other)
            if how["condition"] == "service_healthy":
                assert checked, (name, other)


def test_facts_are_taken_only_when_the_topics_are_there():
    for name in ("serve", "aggregate"):
        waits = {other: how["condition"] for other, how in SETUPS["whole"]["services"][name]["depends_on"].items()}
        assert waits == {"valkey": "service_healthy", "topics": "service_completed_successfully"}


def test_all_agree_on_the_number_of_partitions():
    services = SETUPS["whole"]["services"]
    assert {
        services[name]["environment"]["STREAMGAUGE_LOG__PARTITIONS"] for name in ("topics", "serve", "aggregate")
    } == {"12"}


def test_a_log_in_valkey_loses_nothing_in_a_crash():
    fsync = {size: setup["services"]["valkey"]["command"][-1] for size, setup in SETUPS.items()}
    assert fsync == {"small": "always", "whole": "everysec"}
    configured = (COMPOSE / "valkey.conf").read_text().splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction"} <= set(configured)


# --- at one with the project -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_our_processes_are_settings(setup, name, prepared):
    if name not in setup["services"]:
        return
    environment = dict(setup["services"][name]["environment"])
    files = {f"/run/secrets/{secret}": told["file"] for secret, told in setup["secrets"].items()}
    for variable, value in environment.items():
        if variable.endswith("_FILE"):
            environment[variable] = str(prepared / files[value])
    settings = Settings.load(environment)
    assert (settings.kafka.bootstrap_servers is not None) == ("kafka" in setup["services"] and name != "demo")
    assert set(settings.api.tokens) == ({"admin", "demo", "prometheus"} if name == "serve" else set())


def test_preparing_makes_every_secret_and_keeps_what_is_there(prepared):
    made = {path: path.read_text() for path in prepared.rglob("secrets/**/*") if path.is_file()}
    assert {str((prepared / told["file"]).resolve()) for told in SETUPS["whole"]["secrets"].values()} <= set(
        map(str, made)
    )
    assert (prepared / "secrets").stat().st_mode & 0o777 == 0o700
    long_enough = [name for name, text in made.items() if len(text.strip()) < 48]
    assert long_enough == []
    again = subprocess.run(["sh", "prepare.sh"], cwd=prepared, check=True, capture_output=True, text=True, timeout=100)
    assert again.stdout == ""
    assert {path: path.read_text() for path in made} == made


def test_a_token_file_of_ones_own_is_let_in(prepared):
    (prepared / "secrets" / "ada-token").write_text("pretend-token\n")
    subprocess.run(["sh", "prepare.sh"], cwd=prepared, check=True, capture_output=True, timeout=100)
    hashes = Settings.load({"STREAMGAUGE_API__TOKENS_FILE": str(prepared / "secrets" / "api-tokens")}).api.tokens
    assert hashes["ada"] == sha256(b"pretend-token").hexdigest()
    (prepared / "secrets" / "ada-token").unlink()


def test_no_secret_can_be_committed():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {".env", "/deploy/compose/secrets/"} <= set(ignored)


def test_prometheus_is_set_up_as_everywhere_but_for_the_names():
    here = (COMPOSE / "prometheus.yml").read_text()
    names = {"localhost:8080": "serve:8080", "localhost:9093": "alertmanager:9093"}
    names |= {"credentials_file: streamgauge-token": "credentials_file: /run/secrets/prometheus-token"}
    names |= {"localhost:3000/runbooks": "localhost:3000/public/runbooks"}
    there = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    for name, other in names.items():
        there = there.replace(name, other)
    assert yaml.safe_load(here) == yaml.safe_load(there)
    for host in re.findall(r'"(\w+):\d+"', here):
        assert host == "localhost" or host in SETUPS["small"]["services"]


def test_grafana_finds_its_sources_and_dashboards():
    services = SETUPS["small"]["services"]
    grafana = services["grafana"]
    at = mounts(grafana)
    provisioning = ROOT / "grafana" / "provisioning"
    [sources] = [yaml.safe_load(path.read_text()) for path in (provisioning / "datasources").glob("*.yaml")]
    for source in sources["datasources"]:
        assert re.fullmatch(r"http://(\w+):\d+", source["url"])[1] in services
    [boards] = [yaml.safe_load(path.read_text()) for path in (provisioning / "dashboards").glob("*.yaml")]
    folder = boards["providers"][0]["options"]["path"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == folder
    assert (COMPOSE / at[folder] / home.name).exists()


def test_the_links_of_alerts_lead_to_grafana_and_to_the_runbooks_that_it_serves():
    labels = loaded("prometheus.yml")["global"]["external_labels"]
    root = SETUPS["small"]["services"]["grafana"]["environment"]["GF_SERVER_ROOT_URL"]
    assert labels["grafana_url"] == root
    served = labels["runbooks_url"].replace(root, "/usr/share/grafana")
    folder = COMPOSE / mounts(SETUPS["small"]["services"]["grafana"])[served]
    assert (folder / "FlowWipLimitBreached.md").exists()


def test_make_up_runs_it():
    makefile = (ROOT / "Makefile").read_text()
    for path in re.findall(r"deploy/compose/[\w.]+", makefile):
        assert (ROOT / path).exists()
    assert "docker compose --file deploy/compose/compose.yaml up" in makefile


def test_every_variable_of_the_containers_is_documented():
    told = (ROOT / "docs" / "deploy.md").read_text()
    texts = "".join((COMPOSE / name).read_text() for name in FILES)
    variables = set(re.findall(r"\$\{(\w+)", texts))
    assert sorted(name for name in variables if f"`{name}`" not in told) == []


def test_the_two_sizes_differ_by_kafka():
    assert SETUPS["whole"]["services"].keys() - SETUPS["small"]["services"].keys() == {"kafka", "topics", "bridge"}
