#!/bin/sh
# Run once by the container, when its data folder is new: the role that serves (DATABASE_URL); it owns nothing.
set -eu
psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --set ON_ERROR_STOP=1 --set password="$SERVING_PASSWORD" <<'SQL'
CREATE ROLE zongzhi_app LOGIN PASSWORD :'password';
SQL
