"""What operators watch is what the books say at that moment."""

from __future__ import annotations

from uuid import uuid4

import pytest

from protos.petition.v1.events_pb2 import MediationWithdrawn
from services.chassis import datakey, migrations, outbox, telemetry
from services.chassis.settings import Settings
from services.gauges import Gauges
from services.roles_names import build

TIER = "341702000000"


@pytest.fixture
def service(tmp_path):
    settings = Settings(tier=TIER, data_dir=tmp_path)
    settings.keys_dir.mkdir()
    datakey.create(settings.data_key_file)
    migrations.migrate("petition", settings.database_url_of("petition"))
    service = build("petition", settings)
    yield service
    service.db.close()


@pytest.fixture
def meters():
    watching = telemetry.configure("gauges", TIER, endpoint=None, version="0")
    yield watching.meters
    watching.shutdown()


def test_the_outbox_is_counted_by_destination_while_the_gauges_run_and_never_after(service, meters):
    gauges = Gauges(service, meters)
    gauges.start()
    with service.db.transaction() as tx:
        event = MediationWithdrawn(referral_id=str(uuid4()), petition_id=str(uuid4()), reason="演示")
        outbox.announce(tx, event, source="petition", from_tier=TIER)
    found = meters.collect()
    assert found["zongzhi.outbox.depth"] == {"destination=local,service=petition": 1}
    assert found["zongzhi.outbox.age"]["destination=local,service=petition"] >= 0
    assert "zongzhi.inbox.held" not in found, "nothing is held, so there is no stream to name"
    assert set(found["zongzhi.clocks"]) == {
        f"colour={c},service=petition" for c in ("red", "amber", "green", "suspended")
    }
    gauges.stop()
    assert "zongzhi.outbox.depth" not in meters.collect()


def test_a_database_that_keeps_silent_is_waited_for_once_per_collection(service, meters, monkeypatch):
    asked = []

    def silent(_):
        asked.append(1)
        raise TimeoutError

    monkeypatch.setattr(outbox, "waiting", silent)
    gauges = Gauges(service, meters)
    gauges.start()
    found = meters.collect()
    gauges.stop()
    assert len(asked) == 1
    assert not any(name.startswith("zongzhi.outbox") for name in found)
    assert found["process.memory.usage"]
