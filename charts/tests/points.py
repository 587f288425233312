"""What must hold for every object of every shape: each function names what does not, in sentences.

The tests run them over all renders; the mutation checks run them over a library from which one line was taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from charts.tests.renders import NAMESPACE, RELEASE, Pod, Render, name_of, texts

Check = Callable[[Render], Iterator[str]]
CHECKS: list[Check] = []
LONGEST_NAME = 63
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# Secrets are the operator's, made before; these kinds would carry one in the render.
PASSWORDS = re.compile(r"(?i)password|passwd|://[^/@\s]+:[^/@\s]+@")


def point(check: Check) -> Check:
    """Counts a function in."""
    CHECKS.append(check)
    return check


def _selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


# Names and labels


@point
def every_object_has_its_labels_and_no_selector_has_a_version(render: Render) -> Iterator[str]:
    wanted = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
              "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "app.kubernetes.io/part-of",
              "helm.sh/chart"}  # fmt: skip
    for one in _ours(render):
        if missing := wanted - (one["metadata"].get("labels") or {}).keys():
            yield f"{name_of(one)} lacks {sorted(missing)}"
        selector = ((one.get("spec") or {}).get("selector") or {}) if isinstance(one.get("spec"), dict) else {}
        if {"helm.sh/chart", "app.kubernetes.io/version"} & set(texts(selector)):
            yield f"{name_of(one)} selects by version"
        if one["kind"] in ("Deployment", "StatefulSet", "Service") and "app.kubernetes.io/instance" not in set(
            texts(selector)
        ):
            operators = {"app.kubernetes.io/name": f"{RELEASE}-broker"}
            if selector != operators:
                yield f"{name_of(one)} selects pods of other releases"


def _ours(render: Render) -> list[Any]:
    """Everything but what an operator added by extraObjects."""
    return [one for one in render.objects if not one["metadata"]["name"].endswith("-fonts")]


@point
def every_name_is_the_releases_own_and_short_enough(render: Render) -> Iterator[str]:
    for one in render.objects:
        name = one["metadata"]["name"]
        if not name.startswith(f"{RELEASE}-"):
            yield f"{name_of(one)} is not named after the release"
        if len(name) > LONGEST_NAME:
            yield f"{name_of(one)} has {len(name)} letters"
    names = [name_of(one) for one in render.objects]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"{name} is there twice"


@point
def every_object_names_its_namespace(render: Render) -> Iterator[str]:
    for one in render.objects:
        if one["metadata"].get("namespace") != NAMESPACE:
            yield f"{name_of(one)} names no namespace"


# Pods


@point
def every_pod_is_restricted(render: Render) -> Iterator[str]:
    for pod in render.pods:
        found = pod.spec.get("securityContext") or {}
        if found.get("runAsNonRoot") is not True or found.get("runAsUser", 0) < 10000:
            yield f"{pod} may be root"
        if found.get("runAsGroup", 0) < 10000:
            yield f"{pod} may have root's group"
        if (found.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            yield f"{pod} has no seccomp profile"
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(key):
                yield f"{pod} has {key}"
        if any("hostPath" in volume for volume in pod.spec.get("volumes", [])):
            yield f"{pod} mounts a path of its node"


@point
def every_container_is_restricted(render: Render) -> Iterator[str]:
    for pod, container in _containers(render):
        found = container.get("securityContext") or {}
        where = f"{pod} {container['name']}"
        if found.get("allowPrivilegeEscalation") is not False:
            yield f"{where} may escalate"
        if found.get("privileged"):
            yield f"{where} is privileged"
        if found.get("readOnlyRootFilesystem") is not True:
            yield f"{where} may write its root"
        if found.get("runAsNonRoot") is not True or found.get("runAsUser", 10001) < 10000:
            yield f"{where} may be root"
        if (found.get("capabilities") or {}).get("drop") != ["ALL"] or (found.get("capabilities") or {}).get("add"):
            yield f"{where} keeps capabilities"


def _containers(render: Render) -> Iterator[tuple[Pod, Any]]:
    for pod in render.pods:
        for container in pod.containers:
            yield pod, container


@point
def every_container_can_write_tmp_and_has_limits(render: Render) -> Iterator[str]:
    for pod, container in _containers(render):
        resources = container.get("resources") or {}
        for side in ("requests", "limits"):
            if not {"cpu", "memory"} <= (resources.get(side) or {}).keys():
                yield f"{pod} {container['name']} has no {side}"
    for pod in render.pods:
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{pod} {volume['name']} may fill its node"


@point
def every_pod_has_an_account_of_its_own_and_no_token(render: Render) -> Iterator[str]:
    accounts = {one["metadata"]["name"]: one for one in render.of("ServiceAccount")}
    holders: dict[str, set[str]] = {}
    for pod in render.pods:
        name = pod.spec.get("serviceAccountName", "")
        if name not in accounts:
            yield f"{pod} has no account of its own"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod} mounts a token"
        holders.setdefault(name, set()).add(pod.component)
        tokens = [s for v in pod.spec.get("volumes", []) for s in (v.get("projected") or {}).get("sources", [])
                  if "serviceAccountToken" in s]  # fmt: skip
        if tokens and pod.component != "certificates":
            yield f"{pod} asks for a token and has no business with Kubernetes"
    for name, account in accounts.items():
        if account.get("automountServiceAccountToken") is not False:
            yield f"account {name} hands out tokens"
        if len(holders.get(name, set())) > 1:
            yield f"account {name} is shared by {sorted(holders[name])}"


@point
def no_pod_learns_of_other_services_by_its_environment(render: Render) -> Iterator[str]:
    for pod in render.pods:
        if pod.spec.get("enableServiceLinks") is not False:
            yield f"{pod} gets the links of every service"


@point
def replicas_spread_over_nodes(render: Render) -> Iterator[str]:
    for pod in render.pods:
        if not pod.is_for_long or pod.is_store:
            continue
        spread = pod.spec.get("topologySpreadConstraints") or []
        if not any(
            _selects((one.get("labelSelector") or {}).get("matchLabels", {"": ""}), pod.labels) for one in spread
        ):
            yield f"{pod} may stand on one node"
        if any(one["whenUnsatisfiable"] != "ScheduleAnyway" for one in spread):
            yield f"{pod} does not start where there is one node"


@point
def every_long_running_container_of_ours_has_three_probes(render: Render) -> Iterator[str]:
    for pod in render.pods:
        if not pod.is_for_long:
            continue
        for container in pod.spec["containers"]:
            missing = set(PROBES) - container.keys()
            if missing and container["name"] != "collector":
                yield f"{pod} {container['name']} has no {sorted(missing)}"
            if {"readinessProbe", "livenessProbe"} - container.keys():
                yield f"{pod} {container['name']} has no probes"
            for probe in PROBES:
                if any(
                    word in ("sh", "bash") for word in (container.get(probe, {}).get("exec") or {}).get("command", [])
                ):
                    yield f"{pod} {container['name']} needs a shell for its {probe}"


@point
def grpc_probes_ask_for_life_and_readiness_apart(render: Render) -> Iterator[str]:
    for pod in render.pods:
        for container in pod.spec["containers"]:
            if container["name"] not in ("serve", "work"):
                continue
            services = {
                name: (container[name].get("grpc") or {}).get("service") for name in PROBES if name in container
            }
            if services != {"startupProbe": "live", "readinessProbe": "ready", "livenessProbe": "live"}:
                yield f"{pod} asks {services}"


@point
def whoever_answers_calls_drains(render: Render) -> Iterator[str]:
    for pod in render.pods:
        if not pod.is_for_long or pod.is_store:
            continue
        grace = pod.spec.get("terminationGracePeriodSeconds", 30)
        for container in pod.spec["containers"]:
            if container["name"] not in ("serve", "work", "gateway", "all"):
                continue
            sleep = ((container.get("lifecycle") or {}).get("preStop") or {}).get("sleep", {}).get("seconds", 0)
            if sleep < 1:
                yield f"{pod} {container['name']} ends before it is forgotten"
            if grace <= sleep + 2 * _drain(render):
                yield f"{pod} is killed while it drains"


def _drain(render: Render) -> float:
    return float(next(one["data"]["DRAIN_S"] for one in render.of("ConfigMap") if "DRAIN_S" in (one.get("data") or {})))


@point
def rollouts_never_take_the_last_replica_away(render: Render) -> Iterator[str]:
    for one in render.of("Deployment"):
        strategy = one["spec"].get("strategy") or {}
        if one["metadata"]["name"] == f"{RELEASE}-village":
            if strategy.get("type") != "Recreate":
                yield f"{name_of(one)}: two writers of one file"
        elif strategy.get("type") == "Recreate" and any("persistentVolumeClaim" in v for v in _volumes(one)):
            continue
        elif (strategy.get("rollingUpdate") or {}).get("maxUnavailable") != 0:
            yield f"{name_of(one)} loses a replica in every rollout"
        elif one["spec"].get("minReadySeconds", 0) < 1 and one["metadata"]["name"] != f"{RELEASE}-jaeger":
            yield f"{name_of(one)} lets the old pod go before everybody knows the new one"


def _volumes(one: Any) -> list[Any]:
    return list(one["spec"]["template"]["spec"].get("volumes", []))


@point
def budgets_stand_only_where_they_can_be_met(render: Render) -> Iterator[str]:
    budgets = [one["spec"]["selector"]["matchLabels"] for one in render.of("PodDisruptionBudget")]
    least = _least(render)
    for one in render.of("Deployment"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        covered = sum(_selects(selector, labels) for selector in budgets)
        many = least[one["metadata"]["name"]] > 1
        if many and covered != 1:
            yield f"{name_of(one)} has {covered} budgets"
        if not many and covered:
            yield f"{name_of(one)}: a drain would wait for ever"


def _least(render: Render) -> dict[str, int]:
    found = {one["metadata"]["name"]: one["spec"].get("replicas", 0) for one in render.of("Deployment")}
    for one in render.of("HorizontalPodAutoscaler"):
        found[one["spec"]["scaleTargetRef"]["name"]] = one["spec"]["minReplicas"]
    for one in render.of("ScaledObject"):
        found[one["spec"]["scaleTargetRef"]["name"]] = one["spec"]["minReplicaCount"]
    return found


@point
def one_thing_scales_and_then_nothing_else_says_how_many(render: Render) -> Iterator[str]:
    targets = [one["spec"]["scaleTargetRef"]["name"] for one in render.of("HorizontalPodAutoscaler", "ScaledObject")]
    for target in targets:
        if targets.count(target) > 1:
            yield f"{target} is scaled twice"
    for one in render.of("Deployment"):
        if ("replicas" in one["spec"]) == (one["metadata"]["name"] in targets):
            yield f"{name_of(one)}: replicas and scaling disagree"


@point
def pods_are_made_anew_when_their_settings_change(render: Render) -> Iterator[str]:
    for pod in render.pods:
        reads = {
            source["configMapRef"]["name"] for container in pod.containers for source in container.get("envFrom", [])
        }
        if pod.is_for_long and reads and "checksum/settings" not in pod.annotations:
            yield f"{pod} does not notice new settings"


# Secrets and images


@point
def no_secret_stands_in_a_render(render: Render) -> Iterator[str]:
    for one in render.of("Secret"):
        yield f"{name_of(one)} is made by the chart"
    for pod, container in _containers(render):
        for variable in container.get("env", []):
            if "secretKeyRef" in (variable.get("valueFrom") or {}) or PASSWORDS.search(str(variable.get("value", ""))):
                yield f"{pod} {container['name']} has {variable['name']} in its environment"
        for source in container.get("envFrom", []):
            if "secretRef" in source:
                yield f"{pod} {container['name']} has a whole secret in its environment"
    for one in render.of("ConfigMap"):
        if any(PASSWORDS.search(str(value)) for value in (one.get("data") or {}).values()):
            yield f"{name_of(one)} holds a password"


@point
def every_mounted_secret_is_read_only_and_nobodys_else(render: Render) -> Iterator[str]:
    for pod in render.pods:
        for volume in pod.spec.get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode") not in (0o440, 0o400):
                yield f"{pod} {volume['name']} may be read by others"
    for pod in render.pods:
        keys = next((v["secret"] for v in pod.spec.get("volumes", []) if v["name"] == "keys" and "secret" in v), None)
        signs = any(container["name"] in ("gateway", "all") for container in pod.spec["containers"])
        if keys and not signs and not keys.get("items"):
            yield f"{pod} can sign tokens"


@point
def every_image_has_a_version(render: Render) -> Iterator[str]:
    for pod, container in _containers(render):
        image = container["image"]
        if "@sha256:" not in image and (":" not in image or image.endswith(":latest")):
            yield f"{pod} {container['name']} runs any {image}"
        if container.get("imagePullPolicy") not in ("IfNotPresent", "Always", "Never"):
            yield f"{pod} {container['name']} has no pull policy"


# The network


@point
def first_nothing_passes_in_either_direction(render: Render) -> Iterator[str]:
    everything = {"app.kubernetes.io/name": "zongzhi", "app.kubernetes.io/instance": RELEASE}
    specs = [one["spec"] for one in render.of("NetworkPolicy")]
    denied = [
        spec
        for spec in specs
        if spec["podSelector"].get("matchLabels") == everything and not spec.get("ingress") and not spec.get("egress")
    ]
    denied = [spec for spec in denied if set(spec["policyTypes"]) == {"Ingress", "Egress"}]
    if len(denied) != 1:
        yield f"{len(denied)} policies deny everything"
    for pod in render.pods:
        if not _selects(everything, pod.labels):
            yield f"{pod} is under no policy"


@point
def no_rule_is_wider_than_an_edge(render: Render) -> Iterator[str]:
    for one in render.of("NetworkPolicy"):
        for rule in one["spec"].get("egress") or []:
            if not rule.get("ports") and not any("ipBlock" in peer for peer in rule.get("to", [])):
                yield f"{name_of(one)} opens every port"
            if not rule.get("to") and _calls_within(rule):
                yield f"{name_of(one)} opens {rule} to everybody"
        for rule in one["spec"].get("ingress") or []:
            ports = [port["port"] for port in rule.get("ports", [])]
            if not ports:
                yield f"{name_of(one)} lets anybody call any port"
            if not rule.get("from") and set(ports) - DOORS:
                yield f"{name_of(one)} lets anybody call {ports}"


# What is meant for callers from outside: the gateway, a tier's children over AMQPS, their Collectors over TLS.
DOORS = {8080, 5671, 4319}
# Ports on which nobody but ourselves answers.
WITHIN = {5432, 5672, 50051, 50052, 50053, 8080}


def _calls_within(rule: Any) -> bool:
    return any(port["port"] in WITHIN for port in rule.get("ports", []))


@point
def every_edge_has_both_ends(render: Render) -> Iterator[str]:
    policies = render.of("NetworkPolicy")
    for caller in render.pods:
        for rule in _egress(policies, caller):
            for peer in rule.get("to", []):
                if "namespaceSelector" in peer or "ipBlock" in peer:
                    continue
                for callee in render.pods:
                    if _selects(peer["podSelector"]["matchLabels"], callee.labels):
                        yield from _let_in(policies, caller, callee, rule["ports"])


def _egress(policies: list[Any], pod: Pod) -> Iterator[Any]:
    for one in policies:
        if _selects(one["spec"]["podSelector"].get("matchLabels", {}), pod.labels):
            yield from one["spec"].get("egress") or []


def _let_in(policies: list[Any], caller: Pod, callee: Pod, ports: list[Any]) -> Iterator[str]:
    for port in ports:
        let = any(
            _selects(one["spec"]["podSelector"]["matchLabels"], callee.labels)
            and port["port"] in [p["port"] for p in rule.get("ports", [])]
            and any(_selects(peer.get("podSelector", {}).get("matchLabels", {"": ""}), caller.labels)
                    for peer in rule.get("from", []))
            for one in policies for rule in one["spec"].get("ingress") or []
        )  # fmt: skip
        if not let:
            yield f"{caller} may call {callee} on {port['port']}, which does not let it in"


@point
def everybody_may_ask_for_names(render: Render) -> Iterator[str]:
    policies = render.of("NetworkPolicy")
    for pod in render.pods:
        ports = {
            (p["port"], p.get("protocol", "TCP")) for rule in _egress(policies, pod) for p in rule.get("ports", [])
        }
        if not {(53, "UDP"), (53, "TCP")} <= ports and pod.component != "jaeger":
            yield f"{pod} cannot resolve names"


# Kinds by setting


@point
def migrations_are_ordinary_jobs_that_pods_wait_for(render: Render) -> Iterator[str]:
    jobs = {one["metadata"]["name"]: one for one in render.of("Job")}
    for pod in render.pods:
        for container in pod.spec["containers"]:
            if container["name"] not in ("serve", "work", "gateway"):
                continue
            waiting = [one["args"] for one in pod.spec.get("initContainers", []) if one["name"] == "wait-for-schema"]
            if not waiting or waiting[0][0] != "wait-schema":
                yield f"{pod} does not wait for its schema"
            elif not any(name.startswith(f"{RELEASE}-migrate-{waiting[0][1]}-") for name in jobs):
                yield f"{pod} waits for {waiting[0][1]}, which no job makes"


@point
def what_serves_speaks_tls_where_there_are_certificates(render: Render) -> Iterator[str]:
    speaking = {
        pod.component: any(v["name"] == "GRPC_TLS_DIR" for c in pod.spec["containers"] for v in c.get("env", []))
        for pod in render.pods
        if any(c["name"] in ("serve", "gateway") for c in pod.spec["containers"])
    }
    if len(set(speaking.values())) > 1:
        yield f"some speak TLS and some do not: {speaking}"
