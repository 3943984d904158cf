"""The files in cluster/ for Kubernetes, Docker and Nginx, as far as they can be checked without them."""

import ast
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.server.options import parse

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "cluster"
BASE = (CLUSTER / "Dockerfile").read_text()
NGINX = (CLUSTER / "nginx.conf").read_text()


def documents(name: str) -> dict[str, dict[str, Any]]:
    """The documents of a file by their kind."""
    found = {each["kind"]: each for each in yaml.safe_load_all((CLUSTER / "kuberay" / name).read_text())}
    assert all(each["apiVersion"] and each["metadata"]["name"] for each in found.values())
    return found


def service() -> dict[str, Any]:
    spec: dict[str, Any] = documents("rayservice.yaml")["RayService"]["spec"]
    return spec


def serve_config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(service()["serveConfigV2"])
    return config


def pods() -> list[dict[str, Any]]:
    cluster = service()["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [pod["template"]["spec"] for pod in groups]


def test_the_import_path_and_its_arguments_exist() -> None:
    (application,) = serve_config()["applications"]
    module, function = application["import_path"].split(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    (settings,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    fields = {
        node.target.id for node in settings.body if isinstance(node, ast.AnnAssign) and hasattr(node.target, "id")
    }
    assert application["args"] and set(application["args"]) <= fields


@pytest.mark.skipif(find_spec("ray") is None, reason="needs requirements-ray.txt")
def test_ray_accepts_the_application() -> None:
    """In a process of its own, as importing Ray changes a process's signals and warnings."""
    program = (
        "import json, sys; from ray.serve.schema import ServeDeploySchema; from cluster.serve import Settings, build; "
        "config = json.load(sys.stdin); ServeDeploySchema.parse_obj(config); "
        "build(Settings(**config['applications'][0]['args'])); "
        "assert Settings(models='a, b').models == ['a', 'b']; print('accepted')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(serve_config()),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.strip() == "accepted", result.stderr[-2000:]


def test_one_version_of_ray_everywhere() -> None:
    version = service()["rayClusterConfig"]["rayVersion"]
    assert f"rayproject/ray:{version}-" in BASE
    lower, upper = re.findall(r"[><]=?(\d+(?:\.\d+)?)", (ROOT / "requirements-ray.txt").read_text())[:2]
    major, minor = (int(part) for part in version.split(".")[:2])
    assert (major, minor) >= tuple(int(part) for part in lower.split(".")) and major < int(upper)


def test_replicas_fit_on_a_worker_and_none_is_on_the_head() -> None:
    head, worker = service()["rayClusterConfig"]["headGroupSpec"], pods()[1]
    assert head["rayStartParams"]["num-cpus"] == "0"
    (application,) = serve_config()["applications"]
    cores = int(worker["containers"][0]["resources"]["requests"]["cpu"])
    deployments = 2 + len(list((ROOT / "weights").glob("*.safetensors")))  # detection, ingress, each model
    assert deployments * application["args"]["cores"] * application["args"]["min_replicas"] <= cores


def test_the_page_finds_the_backend_and_nobody_else_reaches_it() -> None:
    page = documents("page.yaml")
    (container,) = page["Deployment"]["spec"]["template"]["spec"]["containers"]
    options = parse(["--host", "0.0.0.0", *container["args"]])
    name = documents("rayservice.yaml")["RayService"]["metadata"]["name"]
    port = serve_config()["http_options"]["port"]
    assert options.backend == f"http://{name}-serve-svc:{port}" and options.trusted_proxies == 1
    probes = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert probes == {"readinessProbe": "/readyz", "livenessProbe": "/healthz", "startupProbe": "/healthz"}
    assert container["ports"][0]["containerPort"] == options.port
    policy = documents("rayservice.yaml")["NetworkPolicy"]["spec"]
    labels = page["Deployment"]["spec"]["template"]["metadata"]["labels"]
    allowed = [rule for rule in policy["ingress"] if rule["from"][0]["podSelector"]["matchLabels"] == labels]
    assert [entry["port"] for entry in allowed[0]["ports"]] == [port] and policy["policyTypes"] == ["Ingress"]


def test_visitors_stay_with_their_page_behind_tls() -> None:
    page = documents("page.yaml")
    ingress = page["Ingress"]
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/affinity"] == "cookie"
    (rule,) = ingress["spec"]["rules"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]] and ingress["spec"]["tls"][0]["secretName"]
    target = rule["http"]["paths"][0]["backend"]["service"]
    assert target["name"] == page["Service"]["metadata"]["name"]
    assert target["port"]["name"] in {port["name"] for port in page["Service"]["spec"]["ports"]}
    selector = page["Service"]["spec"]["selector"]
    assert selector == page["Deployment"]["spec"]["template"]["metadata"]["labels"]
    limit = ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert limit == f"{parse([]).max_upload_mb}m" and f"client_max_body_size {limit};" in NGINX


@pytest.mark.parametrize("name", ["rayservice.yaml", "page.yaml"])
def test_containers_have_limits_and_no_more_rights_than_they_need(name: str) -> None:
    specs = pods() if name == "rayservice.yaml" else [documents(name)["Deployment"]["spec"]["template"]["spec"]]
    for container in (container for spec in specs for container in spec["containers"]):
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in security


def test_nginx_has_tls_sticky_sessions_and_no_buffer_before_streams() -> None:
    assert NGINX.count("{") == NGINX.count("}")
    directives = [line.strip() for line in NGINX.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert all(line[-1] in "{};" for line in directives)
    for needed in (
        "listen 443 ssl;",
        "ip_hash;",
        "proxy_buffering off;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
    ):
        assert needed in directives
    (upstream,) = re.findall(r"upstream (\w+) {", NGINX)
    assert f"proxy_pass http://{upstream};" in directives
    command = re.search(r"python app\.py (.+)", NGINX)
    assert command is not None
    options = parse(command[1].split())
    assert options.trusted_proxies == 1 and options.backend and f"server 127.0.0.1:{options.port};" in directives


def test_the_image_gets_all_that_it_copies_and_no_more() -> None:
    ignored = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [path.rstrip("/") for rest in re.findall(r"^COPY (.+)$", BASE, re.M) for path in rest.split()[:-1]]
    assert copied and all((ROOT / path).exists() and f"!{path}" in ignored for path in copied)
    assert [line for line in ignored if line and not line.startswith("#")][0] == "*"
    assert {f"!{path}" for path in copied} == {line for line in ignored if line.startswith("!")}
    assert re.findall(r"^USER (\w+)$", BASE, re.M)[-1] == "ray" and "RAY_USAGE_STATS_ENABLED=0" in BASE
