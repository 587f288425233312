"""Who may call an RPC."""

from typing import Any

import pytest

from services.chassis import access
from services.chassis.identity import NOBODY, Identity
from services.chassis.refusal import Forbidden
from services.chassis.tests.calling import TIER, UNDECLARED, declare_undeclared

GET = "/zongzhi.petition.v1.PetitionService/GetPetition"
REVEAL = "/zongzhi.petition.v1.PetitionService/RevealPetition"


def somebody(*permissions: Any) -> Any:
    return Identity(account="clerk", tier=TIER, permissions=frozenset(permissions))


def test_an_rpc_demands_the_permission_that_its_contract_names() -> None:
    assert access.access_of(GET) == "petition.read"
    assert access.rule_of(GET) == access.Access("petition.read", "查看信访事项", reveals=False)


def test_an_rpc_that_shows_personal_data_unmasked_says_so() -> None:
    rule = access.rule_of(REVEAL)
    assert rule is not None
    assert rule.reveals


def test_who_holds_the_permission_may_call() -> None:
    access.check(GET, somebody("petition.read"))


@pytest.mark.parametrize("caller", [NOBODY, somebody(), somebody("petition.reader", "petition.", "*")])
def test_who_does_not_hold_it_is_told_which_one_to_ask_for(caller: Any) -> None:
    with pytest.raises(Forbidden, match="查看信访事项.*petition.read") as caught:
        access.check(GET, caller)
    assert caught.value.details == {"permission": "petition.read"}


@pytest.mark.parametrize("method", [UNDECLARED, "/zongzhi.petition.v1.PetitionService/Nothing", "/none/None", ""])
def test_what_no_contract_opens_is_open_to_nobody(method: Any) -> None:
    declare_undeclared()
    every = somebody(*(access.access_of(f"/{m.containing_service.full_name}/{m.name}") for m in access.methods()), "")
    assert access.access_of(method) is None
    with pytest.raises(Forbidden):
        access.check(method, every)


def test_every_service_of_this_installation_is_found() -> None:
    names = {service.full_name for service in access.services()}
    assert {"zongzhi.petition.v1.PetitionService", "zongzhi.mediation.v1.MediationService"} <= names
