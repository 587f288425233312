import pytest

from services.chassis.digests import body_digest, canonical_json


def test_a_body_digest_is_sha_256_in_hex() -> None:
    assert body_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_same_content_has_one_form_whatever_the_order() -> None:
    assert canonical_json({"b": [1, None], "a": "张三"}) == '{"a":"张三","b":[1,null]}'.encode()
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


@pytest.mark.parametrize(("thing", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_what_json_cannot_say_is_refused(thing: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        canonical_json(thing)
