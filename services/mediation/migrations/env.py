"""Mediation's migrations run on the connection that `zongzhi migrate` opened."""

from services.chassis import migrations
from services.mediation.adapters.tables import metadata

migrations.run_env([migrations.chassis_metadata, metadata])
