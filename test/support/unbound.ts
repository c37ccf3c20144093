/**
 * A private Unbound: a validating resolver on a free loopback port, which knows three zones and asks nobody else.
 * `example.com` is signed, `example.org` is not, and `example.net` was signed and then changed by somebody.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, run } from './child.ts';
import { needPrograms } from './programs.ts';
import { eventually, freePort, isOpen, scratchFolder } from './scratch.ts';

/** Records without the SOA, as lines of a zone file. */
export type ZoneLines = readonly string[];

export interface Unbound {
  readonly server: { readonly host: string; readonly port: number };
}

export async function startUnbound(zones: {
  readonly 'example.com': ZoneLines;
  readonly 'example.org': ZoneLines;
  readonly 'example.net': ZoneLines;
}): Promise<Unbound> {
  const programs = await needPrograms('unbound', 'ldns-keygen', 'ldns-signzone');
  const folder = scratchFolder('unbound');
  for (const [zone, lines] of Object.entries(zones)) {
    const soa = `$ORIGIN ${zone}.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n`;
    writeFileSync(join(folder, zone), `${soa}${lines.join('\n')}\n`);
  }
  const anchors: string[] = [];
  for (const zone of ['example.com', 'example.net']) {
    const key = (await must(programs['ldns-keygen'], ['-a', 'ECDSAP256SHA256', '-k', zone], folder)).trim();
    await must(programs['ldns-signzone'], ['-n', zone, key], folder);
    anchors.push(join(folder, `${key}.key`));
  }
  const forged = readFileSync(join(folder, 'example.net.signed'), 'latin1').replaceAll('192.0.2.1', '192.0.2.66');
  writeFileSync(join(folder, 'example.net.signed'), forged);
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const file = join(folder, 'unbound.conf');
    writeFileSync(file, config(folder, port, anchors));
    const child = new Child(programs.unbound, ['-d', '-p', '-c', file]);
    try {
      await eventually(() => isOpen(port), 'unbound listens', 20_000);
      return { server: { host: '127.0.0.1', port } };
    } catch (error) {
      // The port may have been taken in between.
      if (tries === 3) throw new Error(`unbound does not start: ${String(error)}\n${child.stderr.join('\n')}`);
    }
  }
}

function config(folder: string, port: number, anchors: readonly string[]): string {
  const zone = (name: string, file: string): string =>
    `auth-zone:\n  name: "${name}"\n  zonefile: "${join(folder, file)}"\n  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n`;
  return [
    'server:',
    `  interface: 127.0.0.1@${port}`,
    `  port: ${port}`,
    '  username: ""',
    '  chroot: ""',
    `  directory: "${folder}"`,
    '  use-syslog: no',
    '  logfile: ""',
    '  module-config: "validator iterator"',
    '  num-threads: 1',
    // From there nobody else can be asked.
    '  outgoing-interface: 127.0.0.1',
    ...anchors.map((anchor) => `  trust-anchor-file: "${anchor}"`),
    'remote-control:',
    '  control-enable: no',
    zone('example.com', 'example.com.signed'),
    zone('example.org', 'example.org'),
    zone('example.net', 'example.net.signed'),
  ].join('\n');
}

async function must(program: string, args: readonly string[], cwd: string): Promise<string> {
  const done = await run(program, args, { cwd });
  if (done.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}
