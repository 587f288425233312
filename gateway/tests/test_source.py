"""Where a request comes from: the peer, or what trusted proxies say of it, and never what a stranger claims."""

from __future__ import annotations

import pytest

from gateway import source
from services.chassis.settings import Settings, SettingsMissing

TRUSTED = source.networks("10.0.0.5, 10.1.0.0/16, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.5", "198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.5", "10.1.2.3", "10.1.2.3"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "nonsense", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7, nonsense", "10.0.0.5"),
        ("10.0.0.5", "198.51.100.7:51234", "198.51.100.7"),
        ("fd00::1", "[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:10.0.0.5", "198.51.100.7", "198.51.100.7"),
        ("", "", "unknown"),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(peer: str, forwarded: str, found: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert source.address(environ, TRUSTED) == found


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert source.address({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "1.2.3.4"}) == "127.0.0.1"


@pytest.mark.parametrize(
    ("environ", "secure"),
    [
        ({"wsgi.url_scheme": "https"}, True),
        ({"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_PROTO": "https"}, True),
        ({"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_PROTO": "https, http"}, False),
        ({"REMOTE_ADDR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "https"}, False),
    ],
)
def test_whether_the_callers_connection_is_encrypted(environ: dict[str, str], secure: bool) -> None:
    assert source.is_secure(environ, TRUSTED) is secure


def test_the_setting_takes_addresses_and_networks_and_names_itself_when_wrong() -> None:
    given = Settings.from_env({"TRUSTED_PROXIES": "10.0.0.5,10.1.0.0/16"}, tier="341702000000")
    assert [str(one) for one in given.trusted_proxies] == ["10.0.0.5/32", "10.1.0.0/16"]
    with pytest.raises(SettingsMissing, match="TRUSTED_PROXIES"):
        Settings.from_env({"TRUSTED_PROXIES": "proxy.example"}, tier="341702000000")
