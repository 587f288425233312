"""The checks are checked: each line that hardens something is deleted from a copy of the library, and a check objects."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from charts.tests.helm import CHARTS, HelmFailed
from charts.tests.points import CHECKS
from charts.tests.renders import Case, render
from charts.tests.test_drawing import DISTRICT, edges

SHAPES = (Case("district", "statefulset"), Case("village", "default"), Case("district", "hpa"))
LIBRARY = CHARTS / "common" / "templates"
# File, the line or lines as they stand (first occurrence), and what stands there instead.
MUTATIONS = [
    ("_pod.tpl", "  runAsNonRoot: true\n  runAsUser: 10001\n  runAsGroup", "  runAsUser: 10001\n  runAsGroup"),
    ("_pod.tpl", "  runAsUser: 10001\n  runAsGroup: 10001\n", "  runAsUser: 1001\n  runAsGroup: 10001\n"),
    ("_pod.tpl", "  runAsGroup: 10001\n", ""),
    ("_pod.tpl", "  seccompProfile:\n    type: RuntimeDefault\n", ""),
    ("_pod.tpl", "automountServiceAccountToken: false\n", ""),
    ("_pod.tpl", "enableServiceLinks: false\n", ""),
    ("_pod.tpl", "  allowPrivilegeEscalation: false\n", ""),
    ("_pod.tpl", "  privileged: false\n", "  privileged: true\n"),
    ("_pod.tpl", "  readOnlyRootFilesystem: true\n", ""),
    ("_pod.tpl", "  capabilities:\n    drop:\n      - ALL\n", ""),
    ("_pod.tpl", "serviceAccountName: {{ include \"zongzhi.name\" . }}\n", "serviceAccountName: default\n"),
    ("_pod.tpl", "    labelSelector:\n      matchLabels:\n        {{- include \"zongzhi.selector\" . | nindent 8 }}\n", ""),
    ("_pod.tpl", "whenUnsatisfiable: ScheduleAnyway", "whenUnsatisfiable: DoNotSchedule"),
    ("_pod.tpl", "    sleep:\n      seconds: {{ .root.Values.settings.preStopSeconds }}\n", "    sleep:\n      seconds: 0\n"),
    ("_pod.tpl", "{{ add .root.Values.settings.preStopSeconds (mul 2 .root.Values.settings.drainSeconds) 15 }}", "10"),
    ("_pod.tpl", "checksum/settings: {{ include \"zongzhi.settingsData\" .root | sha256sum }}\n", "a: b\n"),
    ("_workload.tpl", "automountServiceAccountToken: false\n", ""),
    ("_workload.tpl", "      maxUnavailable: 0\n", "      maxUnavailable: 1\n"),
    ("_workload.tpl", "  minReadySeconds: 3\n", ""),
    ("_workload.tpl", "      {{- include \"zongzhi.spread\" . | nindent 6 }}\n", ""),
    ("_workload.tpl", "          {{- include \"zongzhi.lifecycle\" . | nindent 10 }}\n", ""),
    ("_workload.tpl", "          {{- include \"zongzhi.probes\" . | nindent 10 }}\n", ""),
    ("_workload.tpl", "  grpc: {port: 50050, service: ready}\n", "  grpc: {port: 50050, service: live}\n"),
    ("_workload.tpl", "          resources:\n            {{- toYaml .part.resources | nindent 12 }}\n", ""),
    ("_workload.tpl", "  {{- if eq .part.scaling.mode \"none\" }}\n", "  {{- if true }}\n"),
    ("_workload.tpl", "{{ include \"zongzhi.containerSecurity\" . }}\n", ""),
    ("_workload.tpl", "    sizeLimit: 1Gi\n", "    medium: \"\"\n"),
    ("_workload.tpl", "    defaultMode: 0440\n", "    defaultMode: 0444\n"),
    ("_workload.tpl", "    items:\n      - key: tokens.jwks\n        path: tokens.jwks\n      - key: data.key\n        path: data.key\n", ""),
    ("_workload.tpl", "{{- if eq .part.role \"serve\" }}\n- name: GRPC_PORT", "- name: DB\n  valueFrom: {secretKeyRef: {name: a, key: b}}\n{{- if eq .part.role \"serve\" }}\n- name: GRPC_PORT"),
    ("_workload.tpl", "      {{- if .part.database }}\n      initContainers:\n", "      {{- if false }}\n      initContainers:\n"),
    ("_names.tpl", "namespace: {{ .root.Release.Namespace }}\n", ""),
    ("_names.tpl", "app.kubernetes.io/instance: {{ .root.Release.Name }}\n", ""),
    ("_names.tpl", "app.kubernetes.io/component: {{ .of }}\n", "app.kubernetes.io/component: {{ .of }}\nhelm.sh/chart: {{ .root.Chart.Version }}\n"),
    ("_names.tpl", "printf \"%s-%s\" .root.Release.Name .of", "printf \"zz-%s\" .of"),
    ("_images.tpl", ":{{ .image.tag | default .root.Chart.AppVersion }}", ":latest"),
    ("_netpol.tpl", "  policyTypes: [Ingress, Egress]\n{{- end }}", "  policyTypes: [Ingress]\n{{- end }}"),
    ("_netpol.tpl", "{{- include \"zongzhi.denyAll\" .root }}\n", ""),
    ("_netpol.tpl", "{{- if has $component $called }}{{ $callers = append $callers $caller }}{{ end }}\n", ""),
    ("_netpol.tpl", "- to:\n    - podSelector:\n        matchLabels:\n          {{- include \"zongzhi.podsOf\" . | nindent 10 }}\n  ports:\n", "- ports:\n"),
    ("_netpol.tpl", "    {{- include \"zongzhi.dnsRule\" . | nindent 4 }}\n", ""),
    ("_parts.tpl", "\"migrate\" (list \"database\")", "\"migrate\" (list \"database\" \"broker\")"),
    ("_parts.tpl", "\"edges\" (list \"database\" \"broker\" \"telemetry\")", "\"edges\" (list \"database\" \"broker\" \"telemetry\" \"kubernetes\")"),
    ("_scale.tpl", "{{- if gt (int (include \"zongzhi.least\" .)) 1 }}", "{{- if true }}"),
    ("_scale.tpl", "{{- if gt (int (include \"zongzhi.least\" .)) 1 }}", "{{- if false }}"),
    ("_store.tpl", "          {{- include \"zongzhi.containerSecurity\" . | nindent 10 }}\n", ""),
    ("_store.tpl", "          livenessProbe:\n            {{- toYaml .probe | nindent 12 }}\n", "          lifecycle:\n"),
    ("_village.tpl", "    type: Recreate\n", "    type: RollingUpdate\n"),
    ("_tls.tpl", "        {{- include \"zongzhi.containerSecurity\" . | nindent 8 }}\n", ""),
    ("_smoke.tpl", "          {{- include \"zongzhi.containerSecurity\" $it | nindent 10 }}\n", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The charts, to be spoilt."""
    folder = tmp_path_factory.mktemp("spoilt")
    for name in ("common", "district", "village"):
        shutil.copytree(CHARTS / name, folder / name, symlinks=True)
    return folder


def objections(charts: Path) -> list[str]:
    """What the checks say of the shapes in a copy."""
    found: list[str] = []
    for case in SHAPES:
        try:
            made = render(case.chart, "--values", str(case.values), charts=charts)
        except HelmFailed as failure:
            return [f"does not render: {failure}"]
        found += [sentence for check in CHECKS for sentence in check(made)]
        if case.shape == "statefulset" and edges(made) != DISTRICT:
            found.append("another drawing")
        if found:
            return found
    return found


def test_the_copy_as_it_is_has_no_objection(copy: Path) -> None:
    assert objections(copy) == []


@pytest.mark.parametrize("number", range(len(MUTATIONS)), ids=lambda number: f"{MUTATIONS[number][0]}-{number}")
def test_a_deleted_line_is_noticed(copy: Path, number: int) -> None:
    file, line, instead = MUTATIONS[number]
    whole = (LIBRARY / file).read_text()
    assert line in whole, f"{file} no longer holds {line!r}: mend this list"
    spoilt = copy / "common" / "templates" / file
    try:
        spoilt.write_text(whole.replace(line, instead, 1))
        found = objections(copy)
    finally:
        spoilt.write_text(whole)
    assert found, f"{file}: nobody misses {line!r}"
    assert not found[0].startswith("does not render"), found[0]
