"""Grid's migrations run on the connection that `zongzhi migrate` opened."""

from services.chassis import migrations
from services.grid.adapters.tables import metadata

migrations.run_env([migrations.chassis_metadata, metadata])
