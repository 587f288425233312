# PostgreSQL out of Debian's packages, for clusters that test the charts (database.mode: statefulset). In production
# databases are CloudNativePG's or somebody else's.
ARG BASE=python:3.11-slim-bookworm
# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="zongzhi-postgres (test)" org.opencontainers.image.licenses="PostgreSQL"
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-15 \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql /var/cache/apt/archives/*.deb \
 && echo 'database:x:10001:10001::/nonexistent:/usr/sbin/nologin' >>/etc/passwd && echo 'database:x:10001:' >>/etc/group
COPY infra/docker/postgres_start.sh /usr/local/bin/postgres_start
COPY infra/postgres/postgresql.conf /etc/zongzhi/postgresql.conf
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data
USER 10001:10001
EXPOSE 5432
# Fast shutdown; on SIGTERM it would wait until every client has gone.
STOPSIGNAL SIGINT
HEALTHCHECK NONE
ENTRYPOINT ["postgres_start"]
