import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type ProxyHeader, takeProxyHeader } from './proxy-header.ts';

function v2(command: number, family: number, rest: Buffer, size = rest.length): Buffer {
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(size, 14);
  return Buffer.concat([head, rest]);
}

const IPV4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0, 25]);
const IPV6 = Buffer.from(`20010db8${'00'.repeat(11)}01${'00'.repeat(15)}01dc040019`, 'hex');
const TLV = Buffer.from([0x04, 0, 3, 1, 2, 3]);
const FROM_4: ProxyHeader = { source: { address: '192.0.2.1', port: 56_324 } };
const FROM_6: ProxyHeader = { source: { address: '2001:db8::1', port: 56_324 } };
const NOBODY: ProxyHeader = { source: undefined };

const good: readonly (readonly [name: string, wire: Uint8Array | string, header: ProxyHeader])[] = [
  ['version 1, IPv4', 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n', FROM_4],
  ['version 1, IPv6', 'PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n', FROM_6],
  ['version 1, unknown', 'PROXY UNKNOWN\r\n', NOBODY],
  ['version 1, unknown with addresses, which do not count', 'PROXY UNKNOWN ffff::1 x 1 2\r\n', NOBODY],
  ['version 1, the longest', `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, NOBODY],
  ['version 2, IPv4', v2(0x21, 0x11, IPV4), FROM_4],
  ['version 2, IPv4 with TLVs', v2(0x21, 0x11, Buffer.concat([IPV4, TLV])), FROM_4],
  ['version 2, IPv6', v2(0x21, 0x21, IPV6), FROM_6],
  ['version 2, LOCAL: a health check', v2(0x20, 0, Buffer.alloc(0)), NOBODY],
  ['version 2, LOCAL with addresses, which do not count', v2(0x20, 0x11, IPV4), NOBODY],
  ['version 2, no family', v2(0x21, 0, TLV), NOBODY],
  ['version 2, a Unix socket', v2(0x21, 0x31, Buffer.alloc(216)), NOBODY],
  ['version 2, datagrams', v2(0x21, 0x12, IPV4), NOBODY],
];

for (const [name, wire, header] of good) {
  test(`${name}: the same at every cut, and nothing of what follows is taken`, () => {
    const octets = Buffer.from(wire as string, 'latin1');
    for (let cut = 0; cut < octets.length; cut++) {
      assert.equal(takeProxyHeader(octets.subarray(0, cut)).kind, 'more', `cut at ${cut}`);
    }
    const step = takeProxyHeader(Buffer.concat([octets, Buffer.from('EHLO a\r\n')]));
    assert.deepEqual(step, { kind: 'got', value: header, used: octets.length });
  });
}

const wrong: readonly (readonly [name: string, wire: Uint8Array | string, rule: string])[] = [
  ['SMTP', 'EHLO a\r\n', 'no-proxy-header'],
  ['TLS', '\x16\x03\x01', 'no-proxy-header'],
  ['almost version 1', 'PROXX', 'no-proxy-header'],
  ['almost version 2', '\r\n\r\n\0\r\nQUIX', 'no-proxy-header'],
  ['version 1 without end', `PROXY UNKNOWN ${'x'.repeat(92)}`, 'proxy-v1-length'],
  ['version 1 with a bare LF', 'PROXY UNKNOWN\n', 'proxy-v1-line'],
  ['version 1 with a bare CR', 'PROXY UNKNOWN\r ', 'proxy-v1-line'],
  ['version 1, an unknown word', 'PROXY UNKNOWNX\r\n', 'proxy-v1-line'],
  ['version 1, the wrong family', 'PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n', 'proxy-v1-address'],
  ['version 1, a short address', 'PROXY TCP4 127.1 127.0.0.1 1 2\r\n', 'proxy-v1-address'],
  ['version 1, a port too large', 'PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n', 'proxy-v1-port'],
  ['version 1, a port with zeros', 'PROXY TCP4 192.0.2.1 192.0.2.2 025 2\r\n', 'proxy-v1-port'],
  ['version 1, two spaces', 'PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n', 'proxy-v1-line'],
  ['version 3', v2(0x31, 0x11, IPV4), 'proxy-v2-version'],
  ['an unknown command', v2(0x22, 0x11, IPV4), 'proxy-v2-command'],
  ['addresses cut off', v2(0x21, 0x21, IPV4), 'proxy-v2-length'],
  ['more than we read', v2(0x21, 0x11, IPV4, 4097), 'proxy-v2-length'],
];

for (const [name, wire, rule] of wrong) {
  test(`${name} is refused, at no cut later than the octet that says so`, () => {
    const octets = Buffer.from(wire as string, 'latin1');
    const step = takeProxyHeader(octets);
    assert.equal(step.kind === 'bad' ? step.rule : step.kind, rule);
    for (let cut = 0; cut < octets.length; cut++) {
      const early = takeProxyHeader(octets.subarray(0, cut));
      assert.ok(early.kind === 'more' || (early.kind === 'bad' && early.rule === rule), `cut at ${cut}`);
    }
  });
}
