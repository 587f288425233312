# RabbitMQ out of Debian's packages, for clusters that test the charts (broker.mode: statefulset). In production the
# broker is the RabbitMQ Cluster Operator's or somebody else's.
ARG BASE=python:3.11-slim-bookworm
# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="zongzhi-rabbitmq (test)" org.opencontainers.image.licenses="MPL-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rabbitmq-server \
 && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq /var/cache/apt/archives/*.deb \
 && echo 'broker:x:10001:10001::/var/lib/rabbitmq:/usr/sbin/nologin' >>/etc/passwd && echo 'broker:x:10001:' >>/etc/group
COPY infra/docker/rabbitmq_start.sh /usr/local/bin/rabbitmq_start
COPY infra/rabbitmq/rabbitmq.conf /etc/zongzhi/rabbitmq.conf
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/var/lib/rabbitmq
USER 10001:10001
EXPOSE 5672 5671
HEALTHCHECK NONE
ENTRYPOINT ["rabbitmq_start"]
