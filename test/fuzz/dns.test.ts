/** Answers of the DNS that are random, mutated or cut: nothing throws, nothing hangs, nothing that is no name or address comes out. */
import assert from 'node:assert/strict';
import * as packet from 'dns-packet';
import fc from 'fast-check';
import { onTestFinished, test } from 'vitest';
import { type Domain, openDns, readAddress, readDomain } from '../../src/dns/index.ts';
import { DNS_LIMITS } from '../../src/dns/limits.ts';
import { type Query, readAnswer } from '../../src/dns/message.ts';
import { DnsTestServer, makeRecord } from '../support/dns-server.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 20_000);
const QUERY: Query = { id: 0x1234, name: readDomain('a.example') as Domain, type: 'MX', edns: true };

/** A right answer with something of each kind in it. */
const RIGHT = packet.encode({
  type: 'response',
  id: QUERY.id,
  flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
  questions: [{ name: QUERY.name, type: QUERY.type, class: 'IN' }],
  answers: [
    makeRecord('a.example', 'CNAME b.example'),
    makeRecord('b.example', 'MX 10 mx.example'),
    makeRecord('mx.example', 'A 192.0.2.1'),
    makeRecord('mx.example', 'AAAA 2001:db8::1'),
    makeRecord('b.example', 'TXT v=STSv1; id=1'),
    makeRecord('b.example', `TLSA 3 1 1 ${'ab'.repeat(32)}`),
  ],
  additionals: [
    {
      type: 'OPT',
      name: '.',
      udpPayloadSize: 1232,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: 0,
      flag_do: false,
      options: [],
    },
  ],
});

function check(octets: Buffer): void {
  const read = readAnswer(octets, QUERY, DNS_LIMITS);
  if (read.kind !== 'answer') return;
  assert.equal(octets.readUInt16BE(0), QUERY.id);
  for (const record of read.answer.records) {
    assert.equal(readDomain(record.name), record.name);
    assert.ok(Number.isInteger(record.ttlS) && record.ttlS >= 0 && record.ttlS <= 0x7fff_ffff);
    if ('address' in record) assert.equal(readAddress(record.address), record.address);
    if (record.type === 'CNAME' && record.target !== undefined) assert.equal(readDomain(record.target), record.target);
    if (record.type === 'MX' && record.exchange !== undefined && record.exchange !== '.')
      assert.equal(readDomain(record.exchange), record.exchange);
  }
}

const mutated = fc
  .tuple(
    fc.array(fc.tuple(fc.nat({ max: RIGHT.length - 1 }), fc.nat({ max: 255 })), { maxLength: 8 }),
    fc.nat({ max: RIGHT.length }),
    fc.uint8Array({ maxLength: 40 }),
  )
  .map(([changes, cut, tail]) => {
    const octets = Buffer.from(RIGHT);
    for (const [at, octet] of changes) octets[at] = octet;
    return Buffer.concat([octets.subarray(0, cut < 12 ? octets.length : cut), tail]);
  });

test('the right answer is read', () => {
  const read = readAnswer(RIGHT, QUERY, DNS_LIMITS);
  assert.equal(read.kind === 'answer' && read.answer.records.length, 6);
});

test('every single octet changed, and every cut', () => {
  for (let at = 0; at < RIGHT.length; at++) {
    for (const octet of [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff]) {
      const octets = Buffer.from(RIGHT);
      octets[at] = octet;
      check(octets);
    }
    check(RIGHT.subarray(0, at));
  }
});

test('mutated answers', () => {
  fc.assert(fc.property(mutated, check), { numRuns: RUNS });
});

test('random octets behind a right header', () => {
  const random = fc.uint8Array({ maxLength: 600 }).map((tail) => Buffer.concat([RIGHT.subarray(0, 12), tail]));
  fc.assert(fc.property(random, check), { numRuns: RUNS });
});

test('the dearest message to read is read in a moment: names that point and point, at the cap', () => {
  const octets = Buffer.alloc(DNS_LIMITS.messageOctets);
  RIGHT.copy(octets, 0, 0, 12 + 15);
  let at = 12 + 15;
  // A chain of pointers, each to the one before, then records that begin at its end.
  octets.writeUInt16BE(0xc00c, at);
  for (at += 2; at < octets.length / 2; at += 2) octets.writeUInt16BE(0xc000 + at - 2, at);
  const last = at - 2;
  let records = 0;
  for (; at + 12 <= octets.length && records < 500; at += 12, records++) {
    octets.writeUInt16BE(0xc000 + last, at);
    octets.writeUInt16BE(999, at + 2);
    octets.writeUInt16BE(1, at + 4);
  }
  octets.writeUInt16BE(records, 6);
  for (const count of [8, 10]) octets.writeUInt16BE(0, count);
  const began = process.cpuUsage();
  check(octets);
  const { user } = process.cpuUsage(began);
  assert.ok(user < 2_000_000, `${user} us for one message`);
});

test('a server that answers garbage to everything: each look-up ends, by UDP and by TCP', async () => {
  const octets = fc.sample(mutated, { numRuns: 60, seed: 7 });
  let next = 0;
  const server = await DnsTestServer.listen({
    lie: (heard) => {
      const message = Buffer.from(octets[next++ % octets.length] ?? RIGHT);
      if (message.length >= 2) message.writeUInt16BE(heard.id, 0);
      return heard.via === 'udp' ? { kind: 'say', messages: [message] } : { kind: 'raw', octets: message };
    },
  });
  const dns = openDns({ servers: [server.server], limits: { attemptMs: 20, deadlineMs: 200 } });
  onTestFinished(async () => {
    dns.close();
    await server.close();
  });
  const kinds = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const found = await dns.lookupMail(i % 2 === 0 ? 'a.example' : `a${i}.example`, {
      names: new Set(),
      isOwnAddress: () => false,
    });
    kinds.add(found.kind);
  }
  assert.ok(
    kinds.size > 0 && [...kinds].every((kind) => ['hosts', 'null-mx', 'no-domain', 'no-host', 'failed'].includes(kind)),
  );
});
