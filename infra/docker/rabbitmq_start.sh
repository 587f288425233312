#!/bin/sh
# Starts one RabbitMQ node whose data lies in $HOME. /run/secrets/broker/default_user.conf names its user; with
# /run/secrets/tls it also listens for AMQPS on 5671.
set -eu
umask 077
conf=/tmp/rabbitmq.conf
cat /etc/zongzhi/rabbitmq.conf /run/secrets/broker/default_user.conf >"$conf"
if [ -f /run/secrets/tls/tls.crt ]; then
  cat >>"$conf" <<'END'
listeners.ssl.default = 5671
ssl_options.cacertfile = /run/secrets/tls/ca.crt
ssl_options.certfile = /run/secrets/tls/tls.crt
ssl_options.keyfile = /run/secrets/tls/tls.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
END
fi
export RABBITMQ_CONFIG_FILE="$conf" RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_LOGS=- RABBITMQ_LOG_BASE=/tmp
export RABBITMQ_MNESIA_BASE="$HOME/data" RABBITMQ_ENABLED_PLUGINS_FILE=/tmp/enabled_plugins RABBITMQ_PID_FILE=/tmp/rabbitmq.pid
export RABBITMQ_GENERATED_CONFIG_DIR=/tmp/config RABBITMQ_SCHEMA_DIR=/tmp/schema RABBITMQ_CONF_ENV_FILE=/nonexistent
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" ERL_EPMD_ADDRESS=127.0.0.1
echo '[].' >/tmp/enabled_plugins
exec /usr/lib/rabbitmq/bin/rabbitmq-server
