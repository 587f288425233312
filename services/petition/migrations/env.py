"""Petition's migrations run on the connection that `zongzhi migrate` opened."""

from importlib import import_module
from pathlib import Path

from services.chassis import migrations
from services.petition import adapters
from services.petition.adapters.tables import metadata

# Every file of tables adds its own to the one list.
for file in sorted(Path(adapters.__path__[0]).glob("tables_*.py")):
    import_module(f"{adapters.__name__}.{file.stem}")

migrations.run_env([migrations.chassis_metadata, metadata])
