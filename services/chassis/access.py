"""Who may call an RPC, as the contracts in `protos/` declare it. What declares nothing is refused to everyone."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

import protos
from protos.options.v1 import options_pb2
from services.chassis.identity import Identity
from services.chassis.refusal import Forbidden

# The generated stubs call extensions plain descriptors, which the runtime takes and the stubs of the runtime do not.
_ACCESS: Any = options_pb2.access


@dataclass(frozen=True)
class Access:
    """What an RPC demands: a permission, the Chinese name of the deed, and whether it shows personal data unmasked."""

    permission: str
    title_zh: str
    reveals: bool


@cache
def rule_of(full_method: str) -> Access | None:
    """The rule of `/package.Service/Method`; None when the contract gives none, and then nobody may call it."""
    name = full_method.strip("/").replace("/", ".")
    try:
        options = descriptor_pool.Default().FindMethodByName(name).GetOptions()
    except KeyError:
        return None
    declared: options_pb2.Access = options.Extensions[_ACCESS]
    return Access(declared.permission, declared.title_zh, declared.reveals) if declared.permission else None


def access_of(full_method: str) -> str | None:
    """The permission that `/package.Service/Method` demands; None when the contract gives none."""
    rule = rule_of(full_method)
    return rule.permission if rule else None


def check(full_method: str, identity: Identity) -> None:
    """Raises Forbidden unless the caller holds the permission that the contract demands."""
    rule = rule_of(full_method)
    if rule is None:
        raise Forbidden("ACCESS_UNDECLARED", "该功能尚未开放。", "This call is open to nobody yet.")
    if not identity.may(rule.permission):
        raise Forbidden(
            "PERMISSION_DENIED",
            f"您没有“{rule.title_zh}”的权限,请联系管理员开通。",
            f"Your account does not hold the permission {rule.permission}; ask your administrator for it.",
            permission=rule.permission,
        )


@cache
def contracts() -> tuple[FileDescriptor, ...]:
    """Every contract that this installation carries."""
    found = pkgutil.walk_packages(protos.__path__, "protos.")
    modules = [importlib.import_module(module.name) for module in found if module.name.endswith("_pb2")]
    return tuple(module.DESCRIPTOR for module in modules)


def services() -> list[ServiceDescriptor]:
    """Every gRPC service that the contracts declare."""
    return [service for contract in contracts() for service in contract.services_by_name.values()]


def methods() -> list[MethodDescriptor]:
    """Every RPC that the contracts declare."""
    return [method for service in services() for method in service.methods]
