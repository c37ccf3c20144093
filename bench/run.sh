#!/bin/bash
# run.sh cpu | postfix | spool | latency | memory | octets | all     appends JSON lines to bench/tmp/results.jsonl
# run.sh table                                               writes bench/RESULTS.md from them
# run.sh target NAME CELLS                                   one target by hand; CELLS: SIZE:SESSIONS:keep|new,...
#
#   ROUNDS  interleaved rounds (default 5); QUIET  cores neighbours may use during a run (0.15)
#   ROUNDS_SPOOL (3), ROUNDS_LATENCY (9), ROUNDS_POSTFIX (6): those of `spool`, `latency`, `postfix`; MAILS  a round of `spool` (6000)
#   TMP     scratch folder: queues, logs, compiled tools, Haraka (bench/tmp)
#
# Targets: sink (smtp-source to smtp-sink: what the tools cost) · h-min (do-nothing Node proxy) · haraka (with the one-header
# plugin) · postfix (bare; both queue: gs is ours in `queue: { mode: spool }`) · c1 (Postfix + accept-all C milter) · hb (h-min in front of Postfix) · g0, g1, gb (ours: see *.yaml).
# All Node programs run under the Node of bin/with-node, ours from dist. Everything is on 127.0.0.1, ports 2525 to 2528, 2600, 4037,
# 4038. Needs root once, to install Debian's postfix, gcc and libmilter-dev.
set -u
cd "$(dirname "$0")" || exit 1
HERE=$PWD; ROOT=$(dirname "$HERE")
[ -n "${BENCH_NODE:-}" ] || BENCH_NODE=1 exec "$ROOT/bin/with-node" dev "$HERE/run.sh" "$@"
export TMP=${TMP:-$HERE/tmp}; mkdir -p "$TMP"; MODULES=$TMP/npm; export MODULES
OUT=${OUT:-$TMP/results.jsonl}; ROUNDS=${ROUNDS:-5}; QUIET=${QUIET:-0.15}
SINK_PORT=2600 PORT=2525 BEHIND=2527 OCP=4037
PIDS=() PF='' LAST='' ROUND=1
PATH=$PATH:/usr/sbin

prepare() {
  for p in smtp-source:postfix smtp-sink:postfix cc:gcc; do
    command -v "${p%%:*}" >/dev/null || apt_get "${p##*:}"; done
  [ -e /usr/include/libmilter/mfapi.h ] || apt_get libmilter-dev
  [ -x "$TMP/accept_milter" ] || cc -O2 -o "$TMP/accept_milter" peers/accept_milter.c -lmilter -lpthread || exit 1
  [ -x "$TMP/fastsink" ] || cc -O2 -o "$TMP/fastsink" peers/fastsink.c || exit 1
  [ -d "$MODULES/node_modules/Haraka" ] || haraka_get
}
build() { [ -n "${BUILT:-}" ] || (cd "$ROOT" && tsc -b) || exit 1; BUILT=1; }
apt_get() { apt-get update -qq; DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null || { echo "bench: install Debian's $* first" >&2; exit 1; }; }
haraka_get() { mkdir -p "$MODULES"; cp peers/haraka-package.json "$MODULES/package.json"
  (cd "$MODULES" && npm install --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error) || exit 1; }

up() { for _ in $(seq 150); do (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null && return 0; sleep 0.1; done; echo "port $1 did not open" >&2; return 1; }
bg() { "$@" >>"$TMP/log.txt" 2>&1 & LAST=$!; PIDS+=("$LAST"); }
finish() {
  [ -n "$PF" ] && ./postfix-instance.sh stop "$PF"; PF=
  for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null; done; for p in "${PIDS[@]}"; do wait "$p" 2>/dev/null; done; PIDS=()
}
trap finish EXIT
source_() { smtp-source -f a@src.test -t b@dst.test -M load.test "$@" "127.0.0.1:$PORT" 2>>"$TMP/log.txt"; }
# A server's code is at its fastest after some ten thousand mails of each kind, and that is how it spends its life.
warm() { [ -n "${COLD:-}" ] || { source_ -d -l 10240 -s 50 -m "${1:-30000}"; source_ -l 10240 -s 50 -m "${2:-15000}"; }; }

sink() { [ -z "${SHARED_SINK:-}" ] || return 0; bg smtp-sink -u nobody -m 4000 "127.0.0.1:$SINK_PORT" 2000; SINK=$LAST; up $SINK_PORT; }
postfix_() { local port=$1; shift; PF=$TMP/postfix; rm -rf "$PF"; ./postfix-instance.sh make "$PF" "$port" $SINK_PORT "$@"; MASTER=$(./postfix-instance.sh start "$PF"); up "$port"; }
# Postfix is too slow to warm a proxy with: a sink stands in for it first, at its port.
understudy() { bg smtp-sink -u nobody -m 4000 "127.0.0.1:$BEHIND" 2000; UNDERSTUDY=$LAST; up $BEHIND; }
behind() { kill "$UNDERSTUDY"; wait "$UNDERSTUDY" 2>/dev/null; postfix_ $BEHIND; }
hmin() { bg node peers/node-smtp-min.mjs $PORT "$1"; up $PORT; }
gateway() { build; rm -rf "$TMP/data-$1"
  sed "s|:2525\"|:$PORT\"|; s|dataDir: .*|dataDir: $TMP/data-$1|" "$HERE/$1.yaml" >"$TMP/$1.yaml"
  bg node "$ROOT/dist/cli/main.js" start --config "$TMP/$1.yaml"; GW=$LAST; up $PORT; }
callout() { build; bg node "$ROOT/dist/cli/main.js" serve "$HERE/header-service.ts" --listen 127.0.0.1:$OCP; CS=$LAST; up $OCP; }

# start TARGET: its processes, the roots whose CPU counts in ROOTS, where its mail waits in QUEUE
start() {
  ROOTS='' QUEUE=''
  case $1 in
  sink) sink; PORT_OF=$SINK_PORT; ROOTS=$SINK; return ;;
  h-min) sink; hmin $SINK_PORT; ROOTS=$LAST; warm ;;
  haraka) sink; rm -rf "$TMP/haraka"; ./haraka-instance.sh make "$TMP/haraka" $PORT $SINK_PORT add_one_header
    bg node "$MODULES/node_modules/Haraka/bin/haraka" -c "$TMP/haraka"; up $PORT; ROOTS=$LAST; warm 3000 1000 ;;
  postfix) sink; postfix_ $PORT; ROOTS=$MASTER; QUEUE=:$PF/spool ;;
  c1) sink; rm -f "$TMP/milter.sock"; bg "$TMP/accept_milter" -p "unix:$TMP/milter.sock"; M=$LAST; sleep 0.5; chmod 666 "$TMP/milter.sock"
    postfix_ $PORT "smtpd_milters = unix:$TMP/milter.sock" "milter_default_action = tempfail"; ROOTS=$MASTER,$M; QUEUE=:$PF/spool ;;
  hb) sink; understudy; hmin $BEHIND; H=$LAST; warm; behind; ROOTS=$MASTER,$H; QUEUE=:$PF/spool ;;
  g0) sink; gateway g0; ROOTS=$GW; warm ;;
  gs) sink; gateway gs; ROOTS=$GW; QUEUE=:$TMP/data-gs/admin.sock; warm 40000 0 ;;
  g1) sink; callout; gateway g1; ROOTS=$GW,$CS; warm ;;
  gb) sink; understudy; callout; gateway gb; warm; behind; ROOTS=$MASTER,$GW,$CS; QUEUE=:$PF/spool ;;
  *) echo "unknown target $1" >&2; return 1 ;;
  esac
  PORT_OF=$PORT
}
load() { # TARGET CELLS
  start "$1" && node load.mjs --target "$1:$PORT_OF:$ROOTS$QUEUE" --sink "$SINK" --cells "$2" --round $ROUND --quiet "$QUIET" | tee -a "$OUT"
  finish
}

K10=10240:50:keep,10240:50:new M1=1048576:10:keep
# Targets that take turns: all alive, on ports of their own, behind one sink.
together() { TOGETHER=(); sink; SHARED_SINK=1; local t
  for t in "$@"; do start "$t" || return 1; TOGETHER+=(--target "$t:$PORT:$ROOTS$QUEUE"); PORT=$((PORT + 1)); done; }
apart() { finish; SHARED_SINK='' PORT=2525; }
turns() { node load.mjs "$@" --sink "$SINK" --quiet "$QUIET" | tee -a "$OUT"; }

cpu() { together h-min g0 g1 haraka || return 1
  turns "${TOGETHER[@]}" --cells $K10 --rounds "$ROUNDS"
  # Large mail is another kind: it is compiled when some hundreds of it have come.
  for PORT in 2525 2526 2527; do source_ -d -l 1048576 -s 10 -m 400; done
  turns "${TOGETHER[@]:0:6}" --cells 10240:10:keep,$M1 --rounds "$ROUNDS"; apart; }
# The same mails for both: in its first second a queue takes what it has not begun to deliver.
spool() { together postfix gs || return 1; turns "${TOGETHER[@]}" --cells 10240:50:keep --count "${MAILS:-6000}" --rounds "${ROUNDS_SPOOL:-3}"; apart; }
postfix_side() { for ROUND in $(seq "${ROUNDS_POSTFIX:-6}"); do
  for t in c1 hb gb; do load $t 10240:10:keep,10240:10:new; done; done; }
latency() { together h-min g0 g1 || return 1
  node latency.mjs "${TOGETHER[@]}" --rounds "${ROUNDS_LATENCY:-9}" --sink "$SINK" --quiet "$QUIET" | tee -a "$OUT"; apart; }
memory() {
  # A fresh process: after a load, sessions would live in what the heap has grown to already.
  for t in h-min g0 g1; do COLD=1 start $t && node idle.mjs --name $t --port "$PORT_OF" --root "$ROOTS" | tee -a "$OUT"; finish; done
  # 1.25 GB: a sink that looks at each octet would be the test
  bg "$TMP/fastsink" $SINK_PORT; SINK=$LAST; up $SINK_PORT; callout; gateway g1
  node big.mjs --name g1 --port $PORT --root "$GW,$CS" | tee -a "$OUT"; finish
}
octets() { sink; callout; local n; n=$(mktemp)
  node octets.mjs --name g1 --port $PORT --listen 4038 --callout $OCP >"$n" 2>>"$TMP/log.txt" & local c=$!; gateway g1-count
  wait $c; tee -a "$OUT" <"$n"; rm -f "$n"; finish; }

case ${1:-} in
table) exec node results.mjs "$OUT" RESULTS.md ;;
target) prepare; load "$2" "$3" ;;
cpu) prepare; cpu ;;
postfix) prepare; postfix_side ;;
spool) prepare; spool ;;
latency) prepare; latency ;;
memory) prepare; memory ;;
octets) prepare; octets ;;
all) prepare; cpu; postfix_side; spool; latency; memory; octets; exec node results.mjs "$OUT" RESULTS.md ;;
*) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
