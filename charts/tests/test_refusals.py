"""What cannot work stops before anything is installed, with a sentence that says what to do in both languages."""

from __future__ import annotations

import pytest

from charts.tests.helm import HelmFailed
from charts.tests.renders import render

CODE = ("--set-string", "tier.code=341702000000")
EXTERNAL = ("--set", "database.mode=external", "--set", "broker.mode=external")
CIDRS = ("--set", "database.external.cidrs={10.0.0.0/24}", "--set", "broker.external.cidrs={10.0.1.0/24}")

REFUSALS = {
    "no tier": ((), "请设置 tier.code.*Set tier.code"),
    "two doors": ((*CODE, "--set", "ingress.enabled=true", "--set", "gatewayApi.enabled=true"), "只能开一个.*not both"),
    "a door without a name": ((*CODE, "--set", "ingress.enabled=true"), "写域名.*Name at least one host"),
    "a route to nowhere": ((*CODE, "--set", "gatewayApi.enabled=true"), "挂到哪个 Gateway.*Name the Gateway"),
    "a database nowhere": ((*CODE, "--set", "database.mode=external"), "database.external.cidrs.*list the server"),
    "a broker nowhere": ((*CODE, "--set", "broker.mode=external"), "broker.external.cidrs.*list the server"),
    "an uplink of somebody else's": (
        (*CODE, *EXTERNAL, *CIDRS, "--set", "broker.uplink.enabled=true"),
        "外部 RabbitMQ.*An external broker",
    ),
    "an uplink in plain text": (
        (*CODE, "--set", "broker.uplink.enabled=true", "--set", "tls.mode=none"),
        "下级只走 AMQPS.*over AMQPS only",
    ),
    "certificates by nobody": ((*CODE, "--set", "tls.mode=certManager"), "tls.issuer.name.*set tls.issuer.name"),
    "a call to nobody": (
        (*CODE, "--set", "services.mediation.calls={video}"),
        "video 不是本级的服务.*no service of this tier",
    ),
    "more at least than at most": (
        (*CODE, "--set", "serve.scaling.mode=hpa", "--set", "serve.scaling.min=9"),
        "scaling.min 大于 scaling.max.*is above",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_district_that_cannot_work(name: str) -> None:
    words, sentence = REFUSALS[name]
    with pytest.raises(HelmFailed, match=rf"(?s){sentence}"):
        render("district", *words)


@pytest.mark.parametrize("name", ["no tier", "two doors", "a door without a name", "a route to nowhere"])
def test_a_village_that_cannot_work(name: str) -> None:
    words, sentence = REFUSALS[name]
    with pytest.raises(HelmFailed, match=rf"(?s){sentence}"):
        render("village", *words)


def test_a_tier_without_services_is_none() -> None:
    nobody = ("--set-json", '{"services": {"petition": null, "mediation": null, "grid": null}}')
    with pytest.raises(HelmFailed, match="至少要有一个服务"):
        render("district", *CODE, *nobody)
