/**
 * Mails of many recipients, with services, failure policies, rules, hops, stores, clients and requests to leave services out thrown
 * together at random: whatever meets whatever, each accepted recipient has one word, a 250 is a mail that is with its hop or on the
 * disk, once, and nobody has content that a service he should have met did not see, or that tells of another recipient. A request
 * leaves out what it may and nothing else, and goes on whole.
 *
 * FUZZ_RUNS says how many, in hundreds. A failure prints FUZZ_SEED and FUZZ_AT; set both to run that one again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'vitest';
import type { FailureAction } from '../../src/gateway/options.ts';
import type { CalloutTransaction } from '../../src/ocp/index.ts';
import type { Advice } from '../../src/profile/index.ts';
import { answerBlock } from '../../src/profile/index.ts';
import { type Reply, reply } from '../../src/smtp/index.ts';
import { LISTENER } from '../support/mail-rig.ts';
import type { GotPart, Script } from '../support/memory-callout.ts';
import { RecordingSpool } from '../support/recording-spool.ts';
import { plainRoute } from '../support/routes.ts';
import { ALL, finish, keepAll, keepData, MAIL, rigWith } from '../support/scripted-services.ts';
import { makeDice } from './ocp-inputs.ts';

// A round is a whole mail, and costs as much as a hundred inputs of the others.
const rounds = Math.ceil(Number(process.env['FUZZ_RUNS'] ?? 100_000) / 100);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const ROUTES = [
  plainRoute('one.example', 'one', 25),
  plainRoute('two.example', 'two', 25),
  { ...plainRoute('box.example', 'box', 24), nextHop: { kind: 'lmtp', host: 'box', port: 24 } as const },
];
/** As hops are called by the rig. */
const BOX = 'lmtp';
const PEOPLE = ['a1@one', 'a2@two', 'vip@one', 'vip@box', 'b@box', 'b@one', 'c@two', 'no@one', 'login@one'];

const ADVICE: Readonly<Record<string, Advice>> = {
  quarantines: { kind: 'quarantine', reason: 'odd' },
  delays: { kind: 'delay', seconds: 60, reason: 'odd' },
};
const KINDS = [
  'adds',
  'adds',
  'adds',
  'rewrites',
  'refuses c',
  'dies at RCPT',
  'refuses',
  'defers',
  'quarantines',
  'delays',
  'dies',
  'is silent',
  'refuses early',
];
const ADDS: ReadonlySet<string> = new Set(['adds', 'rewrites', 'refuses c']);
const ACTIONS: readonly FailureAction[] = ['tempfail', 'reject', 'skip', 'quarantine', 'spool'];
const RULES: readonly (readonly [string | undefined, (to: string) => boolean])[] = [
  [undefined, () => true],
  ["recipient.local.startsWith('a')", (to) => to.startsWith('a')],
  ["recipient.local == 'vip' && message.size > 0", (to) => to.startsWith('vip@')],
  ["recipient.domain == 'one.example' && message.size > 10", (to) => to.includes('@one')],
  ['message.size > 10', () => true],
  ['message.size > 100000', () => false],
];

function scriptOf(kind: string, i: number, hearsMail: boolean, hearsRcpt: boolean): Script {
  const kept = keepAll([
    ...(hearsMail ? (['MAIL'] as const) : []),
    ...(hearsRcpt ? (['RCPT'] as const) : []),
    'RAWDATA',
  ]);
  const says = (answer: Parameters<typeof answerBlock>[1]): Script => ({
    ...kept,
    onOriginalEnd(tx) {
      tx.sendData(answerBlock('RAWDATA', answer), [], 0);
      finish(tx);
    },
  });
  switch (kind) {
    case 'refuses':
      return says({ smtpError: '550 5.7.1 no' });
    case 'defers':
      return says({ smtpError: '450 4.7.1 later' });
    case 'quarantines':
    case 'delays':
      return says({ advice: ADVICE[kind] as Advice });
    case 'dies':
      return { ...kept, onOriginalEnd: (tx) => tx.end({ code: 400, reason: 'broken' }) };
    case 'is silent':
      return { ...kept, onOriginalEnd: () => undefined };
    case 'refuses early':
      return {
        ...kept,
        onPart(tx, part, all) {
          kept.onPart?.(tx, part, all);
          if (part.part !== 'RAWDATA' || all.filter((one) => one.part === 'RAWDATA').length > 1) return;
          tx.sendData(answerBlock('RAWDATA', { smtpError: '550 5.7.1 no' }), [], 0);
          finish(tx);
        },
        onOriginalEnd: () => undefined,
      };
    default:
      return {
        ...kept,
        onPart(tx, part, all) {
          if (!saysToRcpt(kind, tx, part)) kept.onPart?.(tx, part, all);
        },
        onOriginalEnd(tx, all) {
          keepData(tx, all, answerBlock(undefined, { addHeaders: [`X-Service-${i}: yes`] }));
          finish(tx);
        },
      };
  }
}

/** What a service that speaks at RCPT says to some: true where it did. */
function saysToRcpt(kind: string, tx: CalloutTransaction, { part, octets, replayed }: GotPart): boolean {
  const to = octets.toString();
  if (part !== 'RCPT' || replayed) return false;
  if (kind === 'refuses c' && to.startsWith('<c@'))
    tx.sendData(answerBlock('RCPT', { smtpError: '550 5.1.1 no' }), [], 0);
  else if (kind === 'rewrites' && isRewritten(to)) {
    const other = Buffer.from(rewrittenPath(to));
    tx.sendData(answerBlock('RCPT', {}), [other], other.length);
  } else if (kind === 'dies at RCPT' && to.startsWith('<b@')) tx.end({ code: 400, reason: 'broken' });
  else return false;
  return true;
}

const isRewritten = (path: string): boolean => path.startsWith('<b@');
/** At another hop, and still to be told from the others there. */
const rewrittenPath = (path: string): string => path.replace(/<b@(\w+).*/, '<b-$1@two.example>');

const ASKED: readonly string[] = ['', '', '', '*', 's1', 's2', 's2,s3', 'x'];
/** As it is asked: URIs of ours, `*`, or one that nobody here knows and that means all. */
const uris = (asked: string): string =>
  asked === 'x' ? 'urn:another:system' : asked.replaceAll(/s\d/g, 'http://svc.example/$&');
const parameter = (asked: string): string => (asked === '' ? '' : `OPESBYPASS=${uris(asked)}`);
/** Of so many services. */
const isNamed = (asked: string, n: number, services: number): boolean =>
  asked.split(',').some((one) => one === `s${n + 1}` || !(one.startsWith('s') && Number(one.slice(1)) <= services));
const PATH = /^\S+/;

type Params = ReadonlyMap<string, string | true>;
const countFields = (octets: string): number =>
  [...octets.slice(0, octets.indexOf('\r\n\r\n') + 2).matchAll(/^opes-bypass[ ]*:/gim)].length;

const isLeftOut = (octets: string, n: number): boolean =>
  octets.replaceAll(/\r\n[\t ]/g, ' ').includes(`/s${n + 1};outcome=bypassed;bypass=honoured`);

type End = { readonly kind: 'passes' | 'refused' | 'held' | 'waits'; readonly code?: number; readonly at: number };

async function round(at: number): Promise<void> {
  const any = makeDice(seed, at);
  const pick = <T>(from: readonly T[]): T => from[any(from.length)] as T;
  const services = Array.from({ length: any(4) }, () => ({
    kind: pick(KINDS),
    action: pick(ACTIONS),
    rule: pick(RULES),
    hearsMail: any(4) === 0,
    hearsRcpt: any(2) === 0,
    bypassable: pick(['never', 'allowed', 'allowed'] as const),
    buildsOn: [] as string[],
  }));
  const isAsking = any(2) === 0;
  const askedOf = (): string => (isAsking ? pick(ASKED) : '');
  const atMail = askedOf();
  const inHeader = askedOf();
  const atRcpt = new Map<string, string>();
  for (const [i, { bypassable, buildsOn }] of services.entries())
    for (const [before, other] of services.slice(0, i).entries())
      if (any(2) === 0 && (bypassable === 'allowed' || other.bypassable === 'never')) buildsOn.push(`s${before + 1}`);
  const hears = pick(['one', 'lmtp', 'prdr'] as const);
  const spool = any(6) === 0 ? undefined : new RecordingSpool(any(6) === 0 ? 'spool' : 'inline');
  if (spool !== undefined && any(4) === 0) spool.hasNotice = false;
  if (spool !== undefined && any(8) === 0) spool.fails = new Error('disk full');
  const { rig, callouts } = rigWith(
    services.map(({ kind, hearsMail, hearsRcpt }, i) => scriptOf(kind, i, hearsMail, hearsRcpt)),
    {
      may: [...ALL, 'quarantine', 'delay'],
      routes: ROUTES,
      each: services.map(({ rule: [when], action, bypassable, buildsOn }) => ({
        ...(when !== undefined && { when }),
        onFailure: action,
        bypassable,
        buildsOn,
      })),
      ...(spool && { spool }),
    },
  );
  rig.hears = hears;
  if (any(3) === 0) rig.user = 'ann';
  const by = pick(['nobody', 'submitter', 'submitter', 'peer', 'peer', 'peer of others'] as const);
  if (by === 'submitter' && any(4) > 0) rig.user = 'ann';
  if (by === 'submitter') rig.listener = { ...LISTENER, side: 'sender' };
  else if (by !== 'nobody') rig.listener = { ...LISTENER, bypassFrom: [by === 'peer' ? '192.0.2.1' : '198.51.100.1'] };
  const isVouchedFor = isAsking && any(4) > 0;
  const isAuthorised = (by === 'submitter' && rig.user !== '') || (by === 'peer' && isVouchedFor);
  rig.speaksOpes = any(2) === 0;
  rig.hopRefuses.set('<no@one.example>', reply(550, '5.1.1', 'No such user'));
  rig.hopRefuses.set('<login@one.example>', reply(530, '5.7.0', 'Authentication required'));
  if (any(4) === 0)
    rig.hopFinals.set(
      pick(['one', 'two']),
      pick([reply(554, '5.6.0', 'no'), reply(451, '4.3.0', 'later'), 'nothing' as const]),
    );
  if (any(4) === 0) rig.hopEach.set(pick(['<vip@box.example>', '<b@box.example>']), reply(452, '4.2.2', 'full'));
  if (any(6) === 0) rig.hopLost.add(pick(['one', 'two', BOX]));
  const isReset = any(8) === 0;

  const to = PEOPLE.filter(() => any(2) === 0).map((one) => `${one}.example`);
  if (to.length === 0) return;
  for (const one of to) atRcpt.set(one, any(3) === 0 ? askedOf() : '');
  const asked = { atMail, inHeader, atRcpt: [...atRcpt], by, isVouchedFor, speaksOpes: rig.speaksOpes };
  const what = `FUZZ_SEED=${seed} FUZZ_AT=${at} ${JSON.stringify({ hears, user: rig.user, services, to, isReset, spool, asked })}`;

  // A service that is known to have a say in MAIL is asked about it before there is a recipient.
  if (services.some(({ hearsMail }) => hearsMail)) {
    const before = await rig.begin();
    await before.mail.rcpt(to[0] ?? '');
    before.mail.reset();
    rig.delivered.length = 0;
    rig.records.length = 0;
    rig.logged.length = 0;
  }
  const { mail } = await rig.begin('a@src.example', `${parameter(atMail)}${isVouchedFor ? ' OPESAUTH' : ''}`);
  const rcpts = await Promise.all(to.map((one) => mail.rcpt(one, parameter(atRcpt.get(one) ?? ''))));
  const accepted = to.filter((_, i) => rcpts[i]?.code === 250);
  if (accepted.length === 0) return;
  let final: Reply | undefined;
  const field = inHeader === '' ? '' : `X-A: b\r\nopes-bypass :\r\n\t${uris(inHeader)}\r\n`;
  const pieces = 1 + any(isAsking ? 30 : 3);
  void mail.content(field + MAIL, pieces).then((said) => (final = said));
  const turns = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) await new Promise(setImmediate);
  };
  if (isReset) {
    await turns(any(12));
    if (final === undefined) mail.reset();
    await turns(40);
  } else {
    // Time stands still while content comes.
    await turns(40 + 2 * pieces);
    for (let ms = 0; final === undefined && ms <= 62_000; ms += 2000) {
      callouts.deadlines.tick(performance.now() + ms);
      await turns(30);
    }
    assert.ok(final !== undefined, `never answered: ${what}`);
  }
  await turns(4);
  assert.equal(rig.records.length, 1, what);
  assert.equal(rig.logged.filter(({ event }) => event === 'mail.fault').length, 0, what);
  assert.equal(rig.world.budget.used, 0, what);

  const says = final as Reply | undefined;
  const each = hears === 'one' || mail.each === undefined ? undefined : mail.each;
  if (each !== undefined) assert.equal(each.length, accepted.length, what);
  for (const [i, who] of accepted.entries()) {
    const told = each?.[i] ?? says;
    const named = `<${who}>`;
    const paths = [named, rewrittenPath(named)];
    const copies: { readonly octets: string; readonly upTo: number; readonly isWhole: boolean }[] = [];
    for (const one of rig.delivered)
      if (one.isComplete && one.rcpts.some((rcpt) => paths.includes(rcpt))) {
        // Without a store an LMTP hop's words become one, the worst of them, for a client that hears one.
        const isMixed =
          one.hop === BOX && hears === 'one' && spool === undefined && one.rcpts.some((rcpt) => rig.hopEach.has(rcpt));
        const said = one.hop === BOX ? (rig.hopEach.get(named) ?? undefined) : rig.hopFinals.get(one.hop);
        assertPassedOn(
          who,
          one.content.toString(),
          one.params,
          one.rcptParams[one.rcpts.findIndex((rcpt) => paths.includes(rcpt))],
        );
        if (said === undefined && !isMixed)
          copies.push({ octets: one.content.toString(), upTo: services.length, isWhole: true });
        // Refused by the hop, or in doubt: what was sent must be right all the same.
        else assertRight(one.content.toString(), services.length);
      }
    for (const one of spool?.taken ?? []) {
      const at = one.to.findIndex((path) => paths.includes(PATH.exec(path)?.[0] ?? ''));
      if (at < 0) continue;
      const rcptParams = one.to[at]?.split(' ').slice(1) ?? [];
      assert.deepEqual(rcptParams, atRcpt.get(who) === '' ? [] : [parameter(atRcpt.get(who) ?? '')], what);
      assert.equal(one.params.get('OPESBYPASS'), atMail === '' ? undefined : uris(atMail), what);
      if (!isAuthorised) assert.ok(!one.params.has('OPESAUTH'), what);
      else if (`${atMail}${inHeader}${atRcpt.get(who)}` !== '') assert.ok(one.params.has('OPESAUTH'), what);
      assert.equal(countFields(one.octets.toString()), inHeader === '' ? 0 : 1, what);
      const fate = one.fates[at];
      const service = one.resume?.service;
      const upTo = one.lane === 'relay' ? services.length : service === undefined ? 0 : Number(service.slice(1)) - 1;
      copies.push({ octets: one.octets.toString(), upTo, isWhole: one.lane === 'relay' });
      if (each !== undefined) assert.notEqual(fate, 'refused', what);
    }
    assert.ok(copies.length <= 1, `${who} has it twice: ${what}`);
    if (told?.code === 250) assert.equal(copies.length, 1, `${who} was told 250, and nobody has it: ${what}`);
    if (told !== undefined && told.code !== 250 && copies.length === 1) {
      // A copy kept where nobody is told of it (design D18).
      assert.ok(
        told.code === 554 && spool?.hasNotice === false && copies[0]?.isWhole === false,
        `${who}: ${told.code} and taken: ${what}`,
      );
    }
    for (const { octets, upTo } of copies) assertRight(octets, upTo);
    const end = endOf(who);
    if (each !== undefined && !isReset && rig.hopLost.size === 0 && spool !== undefined && says !== undefined) {
      if (end?.kind === 'refused') assert.equal(told?.code, end.code, `${who}: ${what}`);
      if (end?.kind === 'held' && spool.fails === undefined)
        assert.equal(told?.code, spool.hasNotice ? 250 : 554, `${who}: ${what}`);
      if (end?.kind === 'waits' && spool.fails === undefined) assert.equal(told?.code, 250, `${who}: ${what}`);
    }

    function assertRight(octets: string, upTo: number): void {
      for (const other of accepted)
        if (other !== who || accepted.length > 1)
          assert.ok(!octets.includes(`${other}`), `${other} in a copy: ${what}`);
      for (const [n, { kind, action, rule }] of services.entries()) {
        const isCalled = rule[1](who);
        const has = octets.includes(`X-Service-${n}: yes`);
        const label = `${who}, service ${n}: ${octets}\n${what}`;
        const fate = isCalled ? fateOf(who, n) : 'stays';
        if (upTo === services.length && isCalled) {
          const isOut = isLeftOut(octets, n);
          if (fate !== 'either') assert.equal(isOut, fate === 'out', label);
          else if (kind === 'adds') assert.equal(has, !isOut, label);
          // Nobody sees what another should have prepared for him (REQ-079).
          for (const name of services[n]?.buildsOn ?? [])
            assert.ok(isOut || !isLeftOut(octets, Number(name.slice(1)) - 1), label);
        }
        const wasWithoutBase = isCalled ? missesBase(who, n) : 'no';
        if (n < upTo && fate === 'out') assert.ok(!has, label);
        else if (n < upTo && (fate === 'either' || wasWithoutBase === 'maybe')) continue;
        else if (n >= upTo) assert.ok(!has, label);
        else if (wasWithoutBase === 'yes') assert.ok(!has && action === 'skip', label);
        else if (isCalled && kind === 'dies at RCPT') assert.ok(has || action === 'skip', label);
        else if (isCalled && ADDS.has(kind)) assert.ok(has, label);
        else if (isCalled)
          assert.ok(
            action === 'skip' && (kind === 'dies' || kind === 'is silent'),
            `passed a service's word: ${label}`,
          );
        else if (spool !== undefined) assert.ok(!has, label);
      }
    }
  }

  /** What a hop was told: by parameters where it knows them, else by one field more. */
  function assertPassedOn(who: string, octets: string, params: Params, rcptParams: Params | undefined): void {
    const own = atRcpt.get(who) ?? '';
    assert.equal(params.get('OPESBYPASS'), atMail === '' ? undefined : uris(atMail), what);
    assert.equal(rcptParams?.get('OPESBYPASS'), own === '' ? undefined : uris(own), what);
    if (!isAuthorised) assert.ok(!params.has('OPESAUTH'), what);
    const added = countFields(octets) - (inHeader === '' ? 0 : 1);
    if (rig.speaksOpes) assert.equal(added, 0, what);
    else if (atMail !== '') assert.ok(added === 1 && octets.startsWith('OPES-Bypass: '), what);
    else assert.ok(added <= (own === '' ? 0 : 1), what);
  }

  /** `either`: services had MAIL or his RCPT before he or the message asks; whether they were heard depends on those before them. */
  function fateOf(who: string, n: number): 'stays' | 'out' | 'either' {
    if (services[n]?.bypassable !== 'allowed' || !isAuthorised) return 'stays';
    if (isAskedAway(n, atMail)) return 'out';
    const hadMail = services.some(({ hearsMail }, i) => hearsMail && i >= n);
    if (isAskedAway(n, atRcpt.get(who) ?? '')) return hadMail ? 'either' : 'out';
    if (!isAskedAway(n, inHeader)) return 'stays';
    if (hadMail) return 'either';
    return services.some(({ hearsRcpt }, i) => hearsRcpt && i >= n) ? 'either' : 'out';
  }

  function isAskedAway(n: number, by: string): boolean {
    if (by === '') return false;
    const builtOn = services[n]?.buildsOn ?? [];
    return isNamed(by, n, services.length) || builtOn.some((name) => isAskedAway(Number(name.slice(1)) - 1, by));
  }

  /** Whether it builds on one that failed and was skipped, and so has failed without being asked (decision 0058). */
  function missesBase(who: string, n: number): 'yes' | 'no' | 'maybe' {
    const bases = (services[n]?.buildsOn ?? []).map((name) => hasFailed(who, Number(name.slice(1)) - 1));
    return bases.includes('yes') ? 'yes' : bases.includes('maybe') ? 'maybe' : 'no';
  }

  function hasFailed(who: string, n: number): 'yes' | 'no' | 'maybe' {
    const service = services[n];
    const fate = fateOf(who, n);
    // Without a rule that calls it, or left out on request, it has not failed.
    if (service === undefined || !service.rule[1](who) || fate === 'out') return 'no';
    const { kind } = service;
    const has = kind === 'dies' || kind === 'is silent' ? 'yes' : missesBase(who, n);
    return fate === 'either' && has === 'yes' ? 'maybe' : kind === 'dies at RCPT' && has === 'no' ? 'maybe' : has;
  }

  /** Undefined where it depends on the others in the same variant. */
  function endOf(who: string): End | undefined {
    for (const [at, { kind, action, rule }] of services.entries()) {
      if (!rule[1](who)) continue;
      const wasWithoutBase = missesBase(who, at);
      if (wasWithoutBase === 'no' && ADDS.has(kind)) continue;
      const fate = fateOf(who, at);
      if (fate === 'either' || (fate === 'stays' && wasWithoutBase === 'maybe')) return undefined;
      if (fate === 'out') continue;
      if (wasWithoutBase === 'no') {
        if (kind === 'dies at RCPT') return undefined;
        if (kind === 'refuses' || kind === 'refuses early') return { kind: 'refused', code: 550, at };
        if (kind === 'defers') return { kind: 'refused', code: 450, at };
        if (kind === 'quarantines') return { kind: 'held', at };
        if (kind === 'delays') return { kind: 'waits', at };
      }
      if (action === 'skip') continue;
      if (action === 'quarantine') return { kind: 'held', at };
      if (action === 'spool') return { kind: 'waits', at };
      return { kind: 'refused', code: action === 'tempfail' ? 451 : 554, at };
    }
    return { kind: 'passes', at: services.length };
  }
}

test('whatever meets whatever', { timeout: 60_000 + rounds * 30 }, async () => {
  if (only !== undefined) await round(Number(only));
  else for (let at = 0; at < rounds; at++) await round(at);
});
