#!/bin/sh
# Install the Debian packages named below, those that are missing; sudo only when not root.
set -e
want='gcc make pkg-config libc6-dev libzstd-dev libarchive-dev zlib1g-dev liblzma-dev libbz2-dev
      libopenmpi-dev openmpi-bin perl mandoc strace zip zstd xz-utils bzip2 clang'
missing=
for p in $want; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
    exit 0
fi
echo "deps: installing$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
