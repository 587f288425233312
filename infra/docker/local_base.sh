#!/bin/sh
# A base image with Python 3.11 out of Debian packages, for machines that reach a Debian mirror but no image registry.
#   infra/docker/local_base.sh [NAME:TAG]      default zongzhi-base:bookworm; needs root, debootstrap, docker
# MIRROR=… names another Debian mirror. The base trusts the certificate authorities that this machine trusts.
set -eu
name=${1:-zongzhi-base:bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
docker=${DOCKER:-docker}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

if ! command -v debootstrap >/dev/null; then
  echo "请先安装:apt-get install debootstrap。Install it first: apt-get install debootstrap" >&2
  exit 2
fi
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,media-types,tzdata bookworm "$root/base" "$mirror" >&2
rm -rf "$root"/base/var/cache/apt/archives/*.deb "$root"/base/var/lib/apt/lists/* "$root"/base/usr/share/doc/* "$root"/base/usr/share/locale/*
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  cp /etc/ssl/certs/ca-certificates.crt "$root/base/etc/ssl/certs/ca-certificates.crt"
fi
tar -C "$root/base" -c . | "$docker" import --change 'CMD ["python3"]' --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' - "$name"
