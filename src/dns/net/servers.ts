/** Which servers are asked: those given, or those of resolv.conf(5). */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { isLoopback, readAddress } from '../names.ts';

export interface DnsServer {
  /** An address; IPv6 may have a zone (`fe80::1%eth0`). */
  readonly host: string;
  readonly port: number;
}

/** As libc does: more than three servers only make a failure slower. */
const MAX_SERVERS = 3;
const RESOLV_CONF = '/etc/resolv.conf';

/** Without the file, or without a server in it: the resolver of this machine, as libc has it. */
export function systemServers(file = RESOLV_CONF): readonly DnsServer[] {
  let text = '';
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const found = parseResolvConf(text);
  return found.length > 0 ? found : [{ host: '127.0.0.1', port: 53 }];
}

export function parseResolvConf(text: string): readonly DnsServer[] {
  const hosts = text.split(/\r?\n/).map((line) => /^nameserver[ \t]+([^ \t#;]+)/.exec(line)?.[1] ?? '');
  return hosts
    .filter((host) => isIP(host) !== 0)
    .slice(0, MAX_SERVERS)
    .map((host) => ({ host, port: 53 }));
}

/**
 * Its AD bit is believed: nobody stands between this machine and itself. For any other server the operator must say so,
 * who knows whether the way there is safe (docs/decisions/0026-when-a-dns-answer-is-secure.md).
 */
export function isOnLoopback(server: DnsServer): boolean {
  return isLoopback(readAddress(server.host) ?? '');
}
