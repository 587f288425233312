"""The gateway's migrations run on the connection that `zongzhi migrate` opened."""

from gateway.accounts.tables import metadata
from services.chassis import migrations

migrations.run_env([migrations.chassis_metadata, metadata])
