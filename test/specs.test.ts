/**
 * What the project says of itself, held against what is there: `docs/specs.md` has one row for every requirement and names
 * tests that exist; in `docs/spec/opes-smtp.md` each normative paragraph names its proof, the examples are what our two agents
 * say to each other, and the trace fields we write keep its grammar. What nothing else proves of it is proved here.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'vitest';
import { noMetrics, silentLog } from '../src/base/index.ts';
import { change, defineService, delay, edit, keep, refuse, rewrite, type Service } from '../src/callout/index.ts';
import { ServiceSet } from '../src/callout/server.ts';
import type { CalloutWorld } from '../src/gateway/callouts/callout-channel.ts';
import { offeredParts } from '../src/gateway/callouts/offered-parts.ts';
import { clientParts } from '../src/gateway/dialog/session-view.ts';
import type { CommandName, Permission } from '../src/gateway/options.ts';
import { makeTraceBlock, type ViaEntry } from '../src/gateway/trace/index.ts';
import { CalloutAgent, type Outbox, ProcessorAgent } from '../src/ocp/index.ts';
import { answerBlock } from '../src/profile/index.ts';
import { writeReply } from '../src/smtp/index.ts';
import { MailRig } from './support/mail-rig.ts';
import { MemoryCallouts, serviceOptions } from './support/memory-callout.ts';
import { RecordingSpool } from './support/recording-spool.ts';
import { SessionClient } from './support/session-client.ts';
import { octets, parse } from './vectors/ocp/vectors.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const SPEC = read('docs/spec/opes-smtp.md');

// --- docs/specs.md --------------------------------------------------------------------------------------------------

interface Row {
  readonly id: string;
  readonly state: string;
  readonly tests: readonly string[];
}

const rows: readonly Row[] = read('docs/specs.md')
  .split('\n')
  .filter((line) => /^\| (?:OCP|REQ)-/.test(line))
  .map((line): Row => {
    const cells = /^\| ((?:OCP|REQ)-\d{3}) \| (full|partial|not) \| ([^|]*[^| ]) \| ([^|]+) \|$/.exec(line);
    assert.ok(cells !== null, `not a row: ${line}`);
    const [, id = '', state = '', , proof = ''] = cells;
    return { id, state, tests: [...proof.matchAll(/`([^`]+)`/g)].map(([, path = '']) => path) };
  });

test('every requirement has exactly one row, in order', () => {
  const ids = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}-${String(i + 1).padStart(3, '0')}`);
  const of = (prefix: string) => rows.map(({ id }) => id).filter((id) => id.startsWith(prefix));
  assert.deepEqual(of('OCP'), ids('OCP', 120));
  assert.deepEqual(of('REQ'), ids('REQ', 330));
});

test('what is full or partial names tests that exist, and what is not names none', () => {
  for (const { id, state, tests } of rows) {
    assert.equal(tests.length > 0, state !== 'not', id);
    for (const path of tests) {
      assert.match(path, /\.test\.ts$/, id);
      assert.ok(existsSync(join(ROOT, path)), `${id}: ${path} does not exist`);
    }
  }
});

test('the counts in the preface are those of the rows', () => {
  for (const prefix of ['OCP', 'REQ']) {
    const count = (state: string) => rows.filter((row) => row.id.startsWith(prefix) && row.state === state).length;
    const line = `| ${prefix} | ${count('full')} | ${count('partial')} | ${count('not')} |`;
    assert.ok(read('docs/specs.md').includes(line), `the preface should say: ${line}`);
  }
});

// --- docs/spec/opes-smtp.md: words ----------------------------------------------------------------------------------

test('each normative paragraph of the specification names its proof, and the proof is there', () => {
  const body = SPEC.slice(SPEC.indexOf('\n## 3. '), SPEC.indexOf('\n## 14. ')).replace(/```ocp[\s\S]*?```/g, '');
  const paragraphs = body.split(/\n\n+/).filter((text) => !text.startsWith('    '));
  let proofs = 0;
  for (const paragraph of paragraphs) {
    const text = paragraph.replace(/\s+/g, ' ');
    const named = [...text.matchAll(/`([\w./-]+)` "([^"]+)"/g)];
    if (/\b(?:MUST|SHOULD|MAY)\b/.test(text)) assert.ok(named.length > 0, `nothing proves: ${text}`);
    for (const [, file = '', words = ''] of named) {
      assert.ok(existsSync(join(ROOT, file)), `${file} does not exist`);
      assert.ok(read(file).includes(words), `${file} says nothing of "${words}"`);
      proofs++;
    }
  }
  assert.ok(proofs > 80, 'the specification was not read');
});

test('the specification claims no standing it does not have, and its examples use names made for examples', () => {
  assert.match(SPEC, /not an IETF standard/);
  assert.match(SPEC, /nothing in it or here is registered with IANA/);
  for (const [address] of SPEC.matchAll(/\b\d+\.\d+\.\d+\.\d+\b/g)) assert.match(address, /^192\.0\.2\./);
  for (const [, host = ''] of SPEC.matchAll(/(?:@|https?:\/\/)([a-z0-9.-]+[a-z])/g)) {
    assert.match(host, /(?:^|\.)(?:example(?:\.(?:com|net|org))?|test)$|^iana\.org$/, host);
  }
});

/** Section numbers look like addresses. */
const ADDRESS = /(?<!sections? |[\d.])\b(?!\d\.\d\.\d\.\d{1,2}\b)\d{1,3}(?:\.\d{1,3}){3}\b/g;
/** Loopback, and the ranges made for documents (RFC 5737, RFC 3849). */
const FOR_DOCUMENTS = /^(?:127\.|0\.0\.0\.0$|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)/;
const FOR_DOCUMENTS_6 = /^(?:::1?$|::ffff:|2001:db8:)/i;
/** RFC 2606 and RFC 6761. */
const NAME_FOR_DOCUMENTS = /(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|localhost)$/i;

/** All of `places` with these endings, and what each holds. */
function textsOf(places: readonly string[], endings: RegExp): readonly (readonly [file: string, text: string])[] {
  const files = places.flatMap((place) =>
    place.includes('.')
      ? [place]
      : readdirSync(join(ROOT, place), { recursive: true, encoding: 'utf8' }).map((path) => join(place, path)),
  );
  // What the benchmarks leave behind is nobody's text.
  const isOurs = (file: string): boolean => endings.test(file) && !file.startsWith(join('bench', 'tmp'));
  return files.filter(isOurs).map((file) => [file, readFileSync(join(ROOT, file), 'latin1')]);
}

/** Addresses and mail domains of `texts` that are nobody's promise; those that `isMeant` are passed over. */
function strange(
  texts: readonly (readonly [file: string, text: string])[],
  isMeant: (word: string) => boolean = () => false,
): { readonly found: readonly string[]; readonly seen: number } {
  const found = new Set<string>();
  let seen = 0;
  const judge = (file: string, word: string, isGood: boolean): void => {
    seen++;
    if (!isGood && !isMeant(word)) found.add(`${file}: ${word}`);
  };
  for (const [file, text] of texts) {
    for (const [address] of text.matchAll(ADDRESS)) judge(file, address, FOR_DOCUMENTS.test(address));
    for (const [address] of text.matchAll(/(?<![\w:.])[0-9a-f]*:[0-9a-f:]*:[0-9a-f.]*(?![\w:])/gi))
      if (isIPv6(address)) judge(file, address, FOR_DOCUMENTS_6.test(address));
    for (const [, host = ''] of text.matchAll(/\w@([a-z0-9.-]+\.[a-z]+)/gi))
      judge(file, host, NAME_FOR_DOCUMENTS.test(host));
  }
  return { found: [...found], seen };
}

test('addresses and names in pages and examples are those made for examples (REQ-326)', () => {
  const texts = textsOf(['README.md', 'docs', 'examples'], /\.(?:md|ya?ml|ts|eml)$/);
  const { found, seen } = strange(texts);
  assert.deepEqual(found, []);
  assert.ok(texts.length > 20 && seen > 50, 'nothing was read');
});

/** What tests name besides, and why. */
const MEANT: readonly (readonly [why: string, words: RegExp])[] = [
  ['networks of nobody in particular (RFC 1918, RFC 4193, RFC 4291)', /^(?:10\.|f[cd]|fe80:|ff02:)/i],
  ['no top level domain has one letter: parsers get short names', /^(?:[a-z.-]*\.)?[a-z]$/i],
  ['no addresses, which is what is tried', /^(?:01\.|256\.|1\.2\.3\.256$)/],
  ['all ones; a network in the order of the DNS', /^(?:255\.255\.255\.255|1\.127\.0\.0)$/],
  ['just beside 10.0.0.0/8 and 127.0.0.0/8', /^(?:11\.0\.0\.1|11\.1\.2\.3|128\.0\.0\.1)$/],
  ['just beside 192.0.2.0/24, 2001:db8::/32 and ::1', /^(?:192\.0\.[03]\.\d|2001:db9::\d|2000::|::2)$/],
  ['groups that only the grammar of addresses needs', /^(?:::)?(?:\d:){2}|^::1(?::25|\.2\.3\.4)$|^ffff::1$/],
  ['an IPv4 address behind a translator (RFC 6052)', /^64:ff9b::192\.0\.2\.1$/],
];

test('so are those of the tests, but for a list of what is meant (REQ-326)', () => {
  const endings = /\.(?:ts|mjs|dlg|eml|in|out|why|json|jsonl|md|txt|py)$/;
  const texts = [
    ...textsOf(['test', 'bench'], endings),
    ...textsOf(['src'], endings).filter(([file]) => /\.test\.ts$|fixtures/.test(file)),
  ].filter(([file]) => file !== join('test', 'specs.test.ts'));
  const { found, seen } = strange(texts, (word) => MEANT.some(([, words]) => words.test(word)));
  assert.deepEqual(found, []);
  assert.ok(texts.length > 300 && seen > 1000, 'nothing was read');
  // A list that nobody needs any more says too much.
  const all = strange(texts).found.map((line) => line.slice(line.indexOf(': ') + 2));
  assert.deepEqual(
    MEANT.filter(([, words]) => !all.some((word) => words.test(word))),
    [],
  );
});

test('no delivery is `expanded`: the word is known to reports, and nothing of the gateway says it (decision 0046)', () => {
  const said = textsOf(['src/gateway', 'src/cli', 'src/config'], /\.ts$/)
    .filter(([file]) => !file.endsWith('.test.ts'))
    .filter(([, text]) => text.includes("'expanded'"))
    .map(([file]) => file);
  assert.deepEqual(said, ['src/gateway/dsn/build.ts', 'src/gateway/dsn/fate.ts']);
});

// --- its examples ---------------------------------------------------------------------------------------------------

/** Both our agents in memory: the gateway's code and the SDK's, and what each said. */
class TwoAgents extends MemoryCallouts {
  readonly said = { P: '', S: '' };
  override readonly world: CalloutWorld = {
    deadlines: this.deadlines,
    log: silentLog,
    metrics: noMetrics,
    onSilent: () => undefined,
    openChannel: (_endpoint, options, events) => {
      const carry = (by: 'P' | 'S', from: { outbox: Outbox; drained(): void }, to: { recv(chunk: Buffer): void }) =>
        setImmediate(() => {
          const chunk = Buffer.concat(from.outbox.take());
          this.said[by] += chunk.toString('latin1');
          to.recv(chunk);
          from.drained();
        });
      const agent: ProcessorAgent = new ProcessorAgent(options, {
        onSelected: (feature, details) => events.onSelected(feature, details),
        onReady: () => events.onReady(),
        onOutput: () => carry('P', agent, server),
        onEnd: (end) => events.onEnd(end),
        onAbility: (supported, named) => events.onAbility?.(supported, named),
      });
      const set = new ServiceSet([this.service], { deadlines: this.deadlines });
      const server: CalloutAgent = new CalloutAgent(
        { kept: 'pair' },
        set.connect({ onOutput: () => carry('S', server, agent), onEnd: () => {} }),
      );
      queueMicrotask(() => {
        server.start();
        agent.start();
      });
      return { agent, close: () => agent.close() };
    },
  };
  readonly service: Service;

  constructor(service: Service) {
    super();
    this.service = service;
  }
}

const URI = 'http://callout.example.net/opes/spam';
const MESSAGE = 'From: steve@example.org\r\nTo: sandra@example.com\r\nSubject: Test\r\n\r\nHi, this is a test!\r\n';

const MAY: readonly Permission[] = ['refuse', 'add-header', 'rewrite-recipient'];

function pair(service: Service, may = MAY, spool?: RecordingSpool, commands: readonly CommandName[] = []) {
  const agents = new TwoAgents(service);
  const options = { ...serviceOptions('spam', new Set(may), [1], commands), uri: URI };
  return { agents, rig: new MailRig(agents, [{ options }], undefined, spool) };
}

/** What P and S say in the nth example. */
function example(n: number): { readonly P: string; readonly S: string } {
  const said = { P: '', S: '' };
  let by: 'P' | 'S' = 'P';
  const block = [...SPEC.matchAll(/```ocp\n([\s\S]*?)```/g)][n]?.[1] ?? '';
  for (const line of block.trimEnd().split('\n')) {
    if (line.startsWith('--')) continue;
    if (/^[PS]: /.test(line)) by = line.startsWith('P') ? 'P' : 'S';
    else assert.match(line, /^(?: {3}|$)/);
    said[by] += `${line.slice(3)}\r\n`;
  }
  return said;
}

/** The example is in what was said, and all of it parses. */
function assertSaid(n: number, agents: TwoAgents): void {
  for (const by of ['P', 'S'] as const) {
    const said = example(n)[by];
    assert.ok(
      said.length > 60 && agents.said[by].includes(said),
      `${said}\n--- was not said; this was:\n${agents.said[by]}`,
    );
    assert.deepEqual(
      parse([octets(said)]).filter(({ told }) => told === 'bad'),
      [],
    );
  }
}

/** Lines as the specification shows them outside of `ocp` blocks. */
const shown = (text: string): string =>
  text
    .trimEnd()
    .split('\r\n')
    .map((line) => `    ${line}\n`)
    .join('');

test('flow A of the specification is what our agents say, octet by octet', async () => {
  const service = defineService({
    uri: URI,
    wants: { envelope: true },
    recipient: ({ local }) => (local === 'nobody' ? refuse(550, '5.1.1', 'No such user here') : keep()),
    message: () => edit({ headers: { add: [['X-Spam-Score', '1.2']] } }),
  });
  const { agents, rig } = pair(service);
  const { mail } = await rig.begin('steve@example.org');
  const refused = await mail.rcpt('nobody@example.com');
  assert.ok(SPEC.includes(`-- to the client: ${writeReply(refused).trimEnd().replace('\r\n', ' / ')}`));
  await mail.rcpt('paul@example.com');
  assert.equal((await mail.content(MESSAGE)).code, 250);
  assertSaid(0, agents);
  const delivered = rig.delivered[0]?.content.toString('latin1') ?? '';
  assert.ok(SPEC.includes(shown(delivered.slice(0, delivered.indexOf('To: ')))), delivered);
});

test('flow B of the specification is what our agents say, octet by octet', async () => {
  const service = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 1000 } },
    recipient: () => rewrite('<newuser@example.com>'),
    message: () => refuse(550, '5.7.1', 'Content refused', 'Policy P-12'),
  });
  const { agents, rig } = pair(service);
  const { mail } = await rig.begin('steve@example.org');
  await mail.rcpt('paul@example.com');
  const final = await mail.content(MESSAGE);
  assertSaid(1, agents);
  assert.ok(SPEC.includes(shown(writeReply(final))), writeReply(final));
});

test('flow C of the specification is what our agents say, octet by octet', async () => {
  const service = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 1000 } },
    message: () => delay({ forMs: 600_000, reason: 'outbreak' }),
  });
  const spool = new RecordingSpool();
  const { agents, rig } = pair(service, ['delay'], spool);
  const { mail } = await rig.begin('steve@example.org');
  await mail.rcpt('paul@example.com');
  const final = await mail.content(MESSAGE);
  assertSaid(2, agents);
  assert.ok(SPEC.includes(shown(writeReply(final))), writeReply(final));
  assert.deepEqual(spool.taken[0]?.recipients[0]?.fate, { kind: 'delay', forMs: 600_000 });
});

test('flow D of the specification is what our agents say, octet by octet', async () => {
  const service = defineService({
    uri: URI,
    greeting: (name) => (name === 'CLIENT' ? change('client.example') : keep()),
    verify: () => refuse(550, '5.7.1', 'Ask the postmaster'),
  });
  const { agents, rig } = pair(service, ['refuse', 'rewrite-command'], undefined, ['EHLO', 'VRFY']);
  const client = new SessionClient(rig);
  assert.match(await client.say('EHLO CLIENT'), /^250-/);
  const refused = await client.say('VRFY paul');
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  assertSaid(3, agents);
  assert.ok(SPEC.includes(shown(refused.replaceAll('|', '\r\n'))), refused);
});

// --- paragraphs of it that no other test proves ---------------------------------------------------------------------

test('RSET ends the transaction with TE 400', async () => {
  const { agents, rig } = pair(defineService({ uri: URI, wants: { envelope: true }, recipient: () => keep() }));
  const { mail } = await rig.begin('steve@example.org');
  await mail.rcpt('paul@example.com');
  mail.reset();
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  assert.match(agents.said.P, /\r\nTE 1 \{400 RSET\};\r\n$/);
});

test('a refusal at MAIL carries the trace like any other', async () => {
  const { rig } = pair(defineService({ uri: URI, sender: () => refuse(550, '5.1.8', 'Not from there') }));
  for (const service of rig.services) service.start();
  while (!rig.services.every((service) => service.isReady)) await new Promise(setImmediate);
  const { reply } = await rig.begin('steve@example.org');
  assert.deepEqual(reply, {
    code: 550,
    enhanced: '5.1.8',
    text: ['Not from there', 'OPES-System: https://mail.example.com/opes?id=session.1'],
  });
});

test('refusals as the client gets them', async () => {
  const cases: readonly (readonly [error: string, first: string, lines: number])[] = [
    ['421 4.3.2 closing', '451-4.3.2 closing', 2],
    ['550 plain', '550-5.7.1 plain', 2],
    ['450 plain', '450-4.7.1 plain', 2],
    ['550 caf\xc3\xa9', '550-5.7.1 caf??', 2],
    [
      [1, 2, 3, 4, 5, 6]
        .map((n) => `550-5.7.1 ${n}`)
        .join('\r\n')
        .concat('\r\n550 5.7.1 7'),
      '550-5.7.1 1',
      6,
    ],
  ];
  for (const [smtpError, first, count] of cases) {
    const callouts = new MemoryCallouts();
    callouts.servers.set(1, {
      adaptive: ['RCPT'],
      onPart(tx, { part }) {
        if (part !== 'RCPT') return;
        tx.startMessage();
        tx.sendData(answerBlock('RCPT', { smtpError }), [], 0);
      },
    });
    const rig = new MailRig(callouts, [{ options: serviceOptions('s', new Set<Permission>(['refuse']), [1]) }]);
    const { rcpts } = await rig.send(MESSAGE);
    const lines = rcpts[0] === undefined ? [] : writeReply(rcpts[0]).trimEnd().split('\r\n');
    assert.deepEqual([lines[0], lines.length], [first, count], smtpError);
  }
});

test('the offer follows the permissions', () => {
  const cases: readonly (readonly [readonly Permission[], string])[] = [
    [[], ''],
    [['refuse'], 'MAIL RCPT RAWDATA'],
    [['tempfail'], 'MAIL RCPT RAWDATA'],
    [['rewrite-sender'], 'MAIL'],
    [['rewrite-recipient'], 'RCPT'],
    [['add-header'], 'RAWDATA'],
    [['quarantine'], 'RAWDATA'],
    [['delay'], 'RAWDATA'],
    [['edit-header'], 'RAWDATA'],
    [['edit-content'], 'RAWDATA'],
  ];
  for (const [may, adaptive] of cases) {
    const offered = offeredParts(new Set(may), new Set());
    assert.equal(offered.adaptive.join(' '), adaptive);
    const all = [...offered.adaptive, ...offered.informative].toSorted();
    assert.deepEqual(all, ['EHLO', 'HELO', 'IP', 'MAIL', 'RAWDATA', 'RCPT']);
  }
});

test('greetings are adaptive, and look-ups offered, where the operator has the service asked about them', () => {
  const offer = (may: readonly Permission[], commands: readonly CommandName[]) => {
    const { adaptive, informative } = offeredParts(new Set(may), new Set(commands));
    return `${adaptive.join(' ')} | ${informative.join(' ')}`;
  };
  const rest = 'MAIL RCPT RAWDATA';
  assert.equal(offer(['refuse'], []), `${rest} | IP EHLO HELO`);
  assert.equal(offer(['tempfail'], ['EHLO']), `EHLO HELO ${rest} | IP`);
  assert.equal(offer(['refuse'], ['VRFY', 'EXPN']), `VRFY EXPN ${rest} | IP EHLO HELO`);
  assert.equal(offer(['rewrite-command'], ['EHLO', 'VRFY']), `EHLO HELO VRFY | IP ${rest}`);
  assert.equal(offer([], ['EHLO', 'EXPN']), ` | IP EHLO HELO EXPN ${rest}`);
});

test('client parts: an address literal and the name as sent', () => {
  assert.deepEqual(clientParts('192.0.2.1', 'EHLO', 'A.example'), [
    ['IP', '[192.0.2.1]'],
    ['EHLO', 'A.example'],
  ]);
  assert.deepEqual(clientParts('2001:db8::1', 'HELO', '[x]')[0], ['IP', '[IPv6:2001:db8::1]']);
});

test('every trace field we write keeps the grammar of section 10.1, whatever the URIs hold', () => {
  const uri = "[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#[\\]@!$&'()*+=-]|%[0-9A-Fa-f]{2})+";
  const system = `${uri}[?&]id=(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,64}`;
  const outcomes = [
    'pending',
    'unchanged',
    'edited',
    'header-added',
    'envelope-edited',
    'greeting-edited',
    'delayed',
    'bypassed',
  ] as const;
  const reasons = ['timeout', 'unreachable', 'crash', 'invalid', 'overload'] as const;
  const asked = '(?:;bypass=(?:honoured|refused;why=(?:never|authority)|late))?';
  const entry = `${uri};outcome=(?:${outcomes.join('|')}|skipped)(?:;reason=(?:${reasons.join('|')}))?${asked}`;
  const block = new RegExp(
    `^OPES-System: ${system}\\r\\n(?:OPES-Via: ${system}(?:,(?: |\\r\\n\\t)${entry})*(?:;more=[0-9]+)?\\r\\n)?$`,
  );
  const anyUri = fc.string({ unit: 'grapheme', maxLength: 10 }).map((text) => `https://a.example/${text}`);
  const bypass = fc.constantFrom<ViaEntry['bypass']>(undefined, 'honoured', 'never', 'authority', 'late');
  const anyEntry = fc.oneof(
    fc.record({ uri: anyUri, outcome: fc.constantFrom<ViaEntry['outcome']>(...outcomes), bypass }),
    fc.record({ uri: anyUri, outcome: fc.constant<'skipped'>('skipped'), reason: fc.constantFrom(...reasons), bypass }),
  );
  fc.assert(
    fc.property(anyUri, fc.array(anyEntry, { maxLength: 60 }), fc.boolean(), (own, via, foreignViaPresent) => {
      const made = makeTraceBlock({ received: '', system: { uri: own }, mailId: 'k3.1', via, foreignViaPresent });
      assert.match(made.toString('latin1'), block);
    }),
  );
});
