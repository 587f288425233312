"""What the tests of messages share: petition, which announces, and mediation, which listens; a database each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.chassis.database import Database
from services.chassis.testing import create_chassis_tables
from services.chassis.tests.mail import Mediation


@pytest.fixture
def chassis_db(new_url: Callable[[], str], chassis_file: Path) -> Iterator[Callable[[], Database]]:
    """Makes databases with the chassis tables."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(new_url()))
        if made[-1].is_sqlite:
            shutil.copyfile(chassis_file, str(made[-1].url.database))
        else:
            create_chassis_tables(made[-1])
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def petition_db(chassis_db: Callable[[], Database]) -> Database:
    """The sender's database."""
    return chassis_db()


@pytest.fixture
def mediation(chassis_db: Callable[[], Database]) -> Mediation:
    """The receiver."""
    return Mediation(chassis_db())
