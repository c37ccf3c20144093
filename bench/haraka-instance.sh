#!/bin/bash
# haraka-instance.sh make DIR PORT NEXTPORT [plugin ...]   (MODULES: where Haraka is installed)
# One process, log level notice to a file; start it with:  node MODULES/node_modules/Haraka/bin/haraka -c DIR
set -e
HERE=$(cd "$(dirname "$0")" && pwd); DIR=$2 PORT=$3 NEXT=$4; shift 4
mkdir -p "$DIR/config"; cp "$MODULES/node_modules/Haraka/config/connection.ini" "$DIR/config/"; cp -r "$HERE/haraka/plugins" "$DIR/"
for f in smtp.ini log.ini smtp_forward.ini; do
  sed -e "s/%PORT%/$PORT/" -e "s/%NEXT%/$NEXT/" -e "s/%LEVEL%/notice/" "$HERE/haraka/config/$f.in" >"$DIR/config/$f"; done
echo haraka.test >"$DIR/config/me"
{ echo accept_all; for p in "$@"; do echo "$p"; done; echo queue/smtp_forward; } >"$DIR/config/plugins"
