#!/bin/bash
# postfix-instance.sh make DIR PORT NEXTPORT [main.cf settings ...]   writes DIR/{etc,spool,data,log}
# postfix-instance.sh start|stop DIR                                  "start" prints the master's pid
# A private instance: no DNS, all mail to [127.0.0.1]:NEXTPORT, queue below DIR (the disk DIR is on).
set -e
DIR=$2
case $1 in
make)
  PORT=$3 NEXT=$4; shift 4
  mkdir -p "$DIR"/etc "$DIR"/spool "$DIR"/data "$DIR"/log; chmod 755 "$DIR" "$DIR/etc" "$DIR/spool"; chown postfix "$DIR/data"
  D=$(cd "$DIR" && pwd)
  cat >"$DIR/etc/main.cf" <<M
compatibility_level = 3.6
queue_directory = $D/spool
data_directory = $D/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = $D/log/maillog
maillog_file_prefixes = $D/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = pf.test
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:$NEXT
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_recipient_maps =
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
M
  for s in "$@"; do echo "$s" >>"$DIR/etc/main.cf"; done
  cat >"$DIR/etc/master.cf" <<M
127.0.0.1:$PORT inet n - n - - smtpd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
postlog   unix-dgram n  -       n       -       1       postlogd
M
  ;;
start)
  postfix -c "$(cd "$DIR" && pwd)/etc" start >/dev/null 2>&1
  for _ in $(seq 25); do sleep 0.2; [ -s "$DIR/spool/pid/master.pid" ] && break; done
  tr -d ' ' <"$DIR/spool/pid/master.pid" ;;
stop) postfix -c "$(cd "$DIR" && pwd)/etc" stop >/dev/null 2>&1 || true ;;
*) sed -n 2,4p "$0" >&2; exit 2 ;;
esac
