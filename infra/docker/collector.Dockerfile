# The Collector that `python -m infra.tools.get_collector` builds, for clusters that cannot pull its image.
# docker build -f infra/docker/collector.Dockerfile -t zongzhi-collector:0.1.0 .tools/bin
FROM scratch
LABEL org.opencontainers.image.title="zongzhi-collector (test)" org.opencontainers.image.licenses="Apache-2.0"
COPY otelcol /otelcol
USER 10001:10001
EXPOSE 4318 4319
HEALTHCHECK NONE
ENTRYPOINT ["/otelcol"]
