import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER, MailRig } from '../../../test/support/mail-rig.ts';
import { MemoryCallouts, type Script, serviceOptions } from '../../../test/support/memory-callout.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { ALL, advises, finish, keepAll, keepData, MAIL } from '../../../test/support/scripted-services.ts';
import { SPOOLED_SESSION } from '../../../test/support/spool-rig.ts';
import { answerBlock } from '../../profile/index.ts';
import type { StoredMail } from '../../store/index.ts';
import { Content, FixedOctets } from '../content/index.ts';
import type { Bypassable, FailureAction } from '../options.ts';
import type { ViaEntry } from '../trace/index.ts';
import { QueueAdaptation } from './adaptation.ts';
import { load } from './intake.ts';
import type { DeliveryNotes, MailNotes, QueuedDelivery } from './rows.ts';
import type { AdaptResult } from './world.ts';

const STORED: StoredMail = {
  id: 'session.1',
  acceptedMs: 0,
  reversePath: 'a@src.example',
  params: {},
  facts: {
    mail: 'session.1',
    session: SPOOLED_SESSION,
  },
};

interface Service {
  readonly bypassable: Bypassable;
  readonly when?: string;
  /** `undefined`, written out: nobody listens where it should be. */
  readonly script?: Script | undefined;
  readonly onFailure?: FailureAction;
  readonly buildsOn?: readonly string[];
}

const ROUTES = [plainRoute('new.example', 'new', 25), plainRoute('*', 'hop', 25)];

/** What the stored mail asks of OPES processors. */
interface Asking {
  readonly params?: StoredMail['params'];
  readonly rcptParams?: StoredMail['params'];
  readonly message?: string;
}

/** What comes of a stored mail at services `s1`, `s2`, ... */
async function adapt(
  services: readonly Service[],
  notes: DeliveryNotes,
  facts: Partial<MailNotes> = {},
  to: readonly string[] = ['b@dst.example'],
  { params = {}, rcptParams = {}, message = MAIL }: Asking = {},
) {
  const stored = { ...STORED, params, facts: { ...(STORED.facts as object), ...facts } as StoredMail['facts'] };
  const callouts = new MemoryCallouts();
  const pipeline = services.map(({ bypassable, ...rest }, i) => {
    const { script, ...more } = { script: keepAll(['RAWDATA']), ...rest };
    if (script !== undefined) callouts.servers.set(i + 1, script);
    return {
      options: { ...serviceOptions(`s${i + 1}`, new Set([...ALL, 'quarantine', 'delay']), [i + 1]), bypassable },
      ...more,
    };
  });
  const rig = new MailRig(callouts, pipeline, ROUTES);
  const lane = new QueueAdaptation(rig.world, [LISTENER]);
  const deliveries = to.map(
    (forwardPath, n): QueuedDelivery => ({
      mail: 'session.1',
      n,
      content: 'session.1/0',
      forwardPath,
      params: rcptParams,
      destination: 'dst.example',
      lane: 'adapt',
      hold: undefined,
      attempts: 0,
      nextMs: 0,
      expiresMs: 0,
      lastReply: undefined,
      isWarned: false,
      notes: notes as never,
    }),
  );
  const content = new Content();
  content.append(new FixedOctets(Buffer.from(message)), 0, message.length);
  const result = await new Promise<AdaptResult>((resolve) => {
    lane.run({ mail: stored, deliveries, content }, resolve);
  });
  return { result, rig, calls: callouts.seen.length, keys: lane.keyOf(stored, deliveries[0] as QueuedDelivery) };
}

/** The same of one that goes on: which services saw it, and what it then was. */
async function run(services: readonly Service[], notes: DeliveryNotes, facts: Partial<MailNotes> = {}) {
  const { result, rig, calls, keys } = await adapt(services, notes, facts);
  assert.equal(result.kind, 'release');
  const text = Buffer.concat(await load(result.content, 0, result.content.size)).toString('latin1');
  assert.ok(text.endsWith(`\r\n${MAIL}`), 'what no service changed is as it was');
  const outcomes = [...text.matchAll(/svc\.example\/(s\d);outcome=([a-z-]+)/g)].map(
    ([, name, what]) => `${name} ${what}`,
  );
  const bypassed = rig.logged
    .filter(({ event }) => event === 'callout.bypassed')
    .map(({ fields }) => fields['service']);
  const rewritten = result.rewritten?.get(0);
  const overruled = rig.logged
    .filter(({ event }) => event === 'callout.overruled')
    .map(({ fields }) => fields['service']);
  return { outcomes, bypassed, overruled, calls, keys, rewritten };
}

const never: Service = { bypassable: 'never' };
const allowed: Service = { bypassable: 'allowed' };

test('released: what may be bypassed is not invoked, and the trace and the log say so', async () => {
  const { outcomes, bypassed, calls } = await run([allowed, never, allowed], { isReleased: true });
  assert.deepEqual(outcomes, ['s1 bypassed', 's2 unchanged', 's3 bypassed']);
  assert.deepEqual(bypassed, ['s1', 's3']);
  assert.equal(calls, 1);
});

test('released where all may be bypassed: nobody is invoked', async () => {
  const { outcomes, calls } = await run([allowed, allowed], { isReleased: true });
  assert.deepEqual(outcomes, ['s1 bypassed', 's2 bypassed']);
  assert.equal(calls, 0);
});

test('a service that would not have been called is not called bypassed', async () => {
  const elsewhere: Service = { bypassable: 'allowed', when: 'message.size > 100000' };
  const { outcomes, bypassed } = await run([elsewhere, never], { isReleased: true });
  assert.deepEqual(outcomes, ['s2 unchanged']);
  assert.deepEqual(bypassed, []);
});

test('what ran before the mail stopped does not run again, released or not', async () => {
  const via: ViaEntry[] = [{ uri: 'http://svc.example/s1', outcome: 'edited' }];
  const tried = await run([never, never, allowed], { service: 's2', via });
  assert.deepEqual(tried.outcomes, ['s1 edited', 's2 unchanged', 's3 unchanged']);
  const released = await run([never, never, allowed], { service: 's2', via, isReleased: true });
  assert.deepEqual(released.outcomes, ['s1 edited', 's2 unchanged', 's3 bypassed']);
  assert.equal(released.calls, 1);
  assert.notEqual(tried.keys, released.keys, 'they do not share a run');
});

test('a service that the pipeline got, or moved forward, since the mail was stored has its say', async () => {
  const via: ViaEntry[] = [{ uri: 'http://svc.example/s1', outcome: 'edited' }];
  const { outcomes, calls } = await run([never, never, never], { service: 's3', via });
  assert.deepEqual(outcomes, ['s1 edited', 's2 unchanged', 's3 unchanged']);
  assert.equal(calls, 2);
});

test('rules are judged by the envelope of the client, whatever services made of it since', async () => {
  const byRecipient: Service = { bypassable: 'never', when: "recipient.local == 'vip'" };
  const bySender: Service = { bypassable: 'never', when: "sender.domain == 'first.example'" };
  const byMessage: Service = { bypassable: 'never', when: "message.size > 0 && recipient.local == 'vip'" };
  const { outcomes } = await run(
    [never, byRecipient, bySender, byMessage],
    { service: 's1', named: 'vip@dst.example' },
    { sender: 'a@first.example' },
  );
  assert.deepEqual(outcomes, ['s1 unchanged', 's2 unchanged', 's3 unchanged', 's4 unchanged']);
});

const holds: Service = { bypassable: 'never', script: advises({ kind: 'quarantine', reason: 'score 12' }) };

test('a service of the slow lane has the mail held, and says why', async () => {
  const { result } = await adapt([never, holds, never], {});
  assert.deepEqual(result, { kind: 'hold', service: 's2', reason: 'verdict: score 12', refused: new Map() });
});

test('of a mail that is held, or refused, those stay known whom a service refused before', async () => {
  const picky: Service = {
    bypassable: 'never',
    script: {
      ...keepAll(['RCPT']),
      onPart(tx, part, all) {
        if (all.length === 1) tx.startMessage();
        if (part.part !== 'RCPT') return;
        const { octets } = part;
        const isHis = octets.toString().includes('b@dst.example');
        if (isHis) tx.sendData(answerBlock('RCPT', { smtpError: '550 5.7.1 not for you' }), [], 0);
        else tx.useYours(part.offset, octets.length);
      },
    },
  };
  const { result } = await adapt([picky, holds], {}, {}, ['a@dst.example', 'b@dst.example']);
  assert.equal(result.kind, 'hold');
  assert.deepEqual(
    [...result.refused].map(([n, { reply, by }]) => [n, reply.text, by?.isOnContent]),
    [[1, ['not for you'], false]],
  );
});

test('released by an operator: the service that held it is heard, and does not hold it a second time; another may', async () => {
  const { outcomes, overruled } = await run([never, holds], { isReleased: true, releasedFrom: ['s2'] });
  assert.deepEqual(outcomes, ['s1 unchanged', 's2 unchanged']);
  assert.deepEqual(overruled, ['s2']);
  const { result } = await adapt([holds, holds], { isReleased: true, releasedFrom: ['s2'] });
  assert.deepEqual(result, { kind: 'hold', service: 's1', reason: 'verdict: score 12', refused: new Map() });
});

test('released by an operator: who would hold it and have it wait has it wait', async () => {
  const both: Service = {
    bypassable: 'never',
    script: advises({ kind: 'quarantine', reason: 'new', delay: { kind: 'delay', seconds: 600, reason: 'outbreak' } }),
  };
  const { result: before } = await adapt([both], {});
  assert.deepEqual(before, { kind: 'hold', service: 's1', reason: 'verdict: new', refused: new Map() });
  const { result, rig } = await adapt([both], { isReleased: true, releasedFrom: ['s1'] });
  assert.equal(result.kind, 'delay');
  assert.equal(result.atMs, rig.world.wallClock() + 600_000);
  assert.deepEqual([result.progress.service, result.progress.via.at(-1)?.outcome], ['s1', 'delayed']);
  const said = rig.logged.filter(({ event }) => event.startsWith('callout.')).map(({ event }) => event);
  assert.deepEqual(said, ['callout.overruled', 'callout.advised']);
});

test('a service of the slow lane has the mail wait: what those before it did is kept, with the trace of all', async () => {
  const adds: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, answerBlock(undefined, { addHeaders: ['X-First: 1'] }));
      finish(tx);
    },
  };
  const waits: Service = { bypassable: 'never', script: advises({ kind: 'delay', seconds: 60, reason: 'later' }) };
  const earlier: ViaEntry = { uri: 'http://svc.example/s0', outcome: 'edited' };
  const { result, rig } = await adapt([{ bypassable: 'never', script: adds }, waits, never], { via: [earlier] });
  assert.ok(result.kind === 'delay');
  assert.equal(result.atMs, rig.world.wallClock() + 60_000);
  const { service, content, via } = result.progress;
  assert.equal(service, 's2');
  assert.equal(content?.view(0, content.size)?.join(''), `X-First: 1\r\n${MAIL}`);
  assert.deepEqual(
    via.map(({ uri, outcome }) => `${uri.slice(-2)} ${outcome}`),
    ['s0 edited', 's1 header-added', 's2 delayed'],
  );
  const alone = await adapt([waits], {});
  assert.ok(alone.result.kind === 'delay' && alone.result.progress.content === undefined, 'nothing was made');
});

test('what services of an earlier run made of the envelope is what the next ones see', async () => {
  const seen: string[] = [];
  const script: Script = {
    ...keepAll(['MAIL', 'RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      keepAll(['MAIL', 'RCPT', 'RAWDATA']).onPart?.(tx, part, all);
      if (part.part === 'MAIL' || part.part === 'RCPT') seen.push(part.octets.toString());
    },
  };
  const to = { path: 'new@new.example', params: {}, destination: 'new.example' };
  const rewritten = { from: { path: 'z@src.example', params: {} }, to };
  const byRecipient: Service = { bypassable: 'never', when: "recipient.domain == 'dst.example'", script };
  await run([byRecipient], { service: 's1', rewritten });
  assert.deepEqual(seen, ['<z@src.example>', '<new@new.example>']);
});

test('recipients that a rule on the message tells apart are taken apart before any service runs', async () => {
  const byBoth: Service = {
    bypassable: 'never',
    when: "recipient.local == 'vip' && message.headers['subject'] == 'test'",
  };
  const to = ['vip@a.example', 'x@b.example', 'vip@c.example'];
  const { result, calls } = await adapt([never, byBoth], {}, {}, to);
  assert.ok(result.kind === 'split');
  assert.deepEqual(
    result.groups.map((group) => group.map(({ n }) => n)),
    [[0, 2], [1]],
  );
  assert.equal(calls, 0);
  const { result: together } = await adapt([never, byBoth], {}, {}, ['vip@a.example', 'vip@c.example']);
  assert.equal(together.kind, 'release');
});

test('what a service makes of the envelope now is kept with the result', async () => {
  const script: Script = {
    ...keepAll(['MAIL', 'RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      const to = part.part === 'RCPT' ? '<c@new.example>' : part.part === 'MAIL' ? '<z@src.example>' : undefined;
      if (to !== undefined) tx.sendData(answerBlock(part.part, {}), [Buffer.from(to)], to.length);
    },
  };
  const { rewritten } = await run([{ bypassable: 'never', script }], { service: 's1' });
  assert.deepEqual(rewritten, {
    from: { path: 'z@src.example', params: {} },
    to: { path: 'c@new.example', params: {}, destination: 'new.example' },
  });
});

test('who stops a stored mail is named: a service that does not work, or one that refuses, now or for good', async () => {
  const dead = (action: FailureAction): Service => ({
    bypassable: 'never',
    script: undefined,
    onFailure: action,
  });
  const refuses = (reply: string): Service => ({
    bypassable: 'never',
    script: {
      ...keepAll(['RAWDATA']),
      onOriginalEnd(tx) {
        tx.sendData(answerBlock('RAWDATA', { smtpError: reply }), [], 0);
      },
    },
  });
  const failure = { service: 's1', because: 'failure', isOnContent: false };
  const verdict = { service: 's1', because: 'verdict', isOnContent: true };
  const cases: readonly (readonly [Service, AdaptResult['kind'], object])[] = [
    [dead('tempfail'), 'later', failure],
    // Its recipients are refused for it, one by one.
    [dead('reject'), 'release', failure],
    [dead('spool'), 'later', failure],
    [refuses('451 4.7.1 not now'), 'later', verdict],
    [refuses('550 5.7.1 no'), 'refused', verdict],
  ];
  for (const [service, kind, by] of cases) {
    const { result } = await adapt([service, never], { isReleased: true });
    const stopped = result.kind === 'release' ? result.refused.get(0)?.by : 'by' in result && result.by;
    assert.deepEqual([result.kind, stopped], [kind, by]);
  }
});

test('a recipient is stopped by name, too', async () => {
  const onRcpt = (reply: string): Service => ({
    bypassable: 'never',
    script: {
      ...keepAll(['RCPT']),
      onPart(tx, part, all) {
        if (all.length === 1) tx.startMessage();
        if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', { smtpError: reply }), [], 0);
      },
    },
  });
  const by = { service: 's1', because: 'verdict', isOnContent: false };
  const now = (await adapt([onRcpt('451 4.7.1 not now')], {})).result;
  assert.deepEqual([now.kind, 'by' in now && now.by], ['later', by]);
  const good = (await adapt([onRcpt('550 5.7.1 no')], {})).result;
  assert.deepEqual(good.kind === 'release' && good.refused.get(0)?.by, by);
});

test('what rules said of the message as it came holds, unless the rule is another one now', async () => {
  const when = "message.headers['subject'] == 'as it came'";
  const service: Service = { bypassable: 'never', when };
  const calls = async (judged: Record<string, boolean>) =>
    (await run([never, service], { service: 's1', judged })).calls;
  assert.equal(await calls({ [`s2 ${when}`]: true }), 2);
  assert.equal(await calls({ 's2 message.size > 1': true }), 1);
  assert.equal(await calls({}), 1);
});

test('a delay behind a change of the message notes what rules said before it', async () => {
  const edits: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, answerBlock(undefined, { addHeaders: ['X-First: 1'] }));
      finish(tx);
    },
  };
  const delays: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      tx.sendData(answerBlock('RAWDATA', { advice: { kind: 'delay', seconds: 60, reason: '' } }), [], 0);
      finish(tx);
    },
  };
  const when = `message.size < ${MAIL.length + 1}`;
  const services: Service[] = [
    { bypassable: 'never', script: edits },
    { bypassable: 'never', script: delays },
    { bypassable: 'never', when },
  ];
  const judgedAfter = async (notes: DeliveryNotes) => {
    const { result } = await adapt(services, notes);
    assert.equal(result.kind, 'delay');
    return result.progress.judged.get(0);
  };
  assert.deepEqual(await judgedAfter({}), { [`s3 ${when}`]: true });
  assert.equal(
    await judgedAfter({ service: 's2', via: [{ uri: 'http://svc.example/s1', outcome: 'edited' }] }),
    undefined,
  );
  assert.equal(await judgedAfter({ judged: { [`s3 ${when}`]: false } }), undefined, 'that stays as it is noted');
});

test('what the mail asked for when it was taken is done now as it would have been then, by who had authority then', async () => {
  const services = [allowed, never, allowed];
  const field = `OPES-Bypass: http://svc.example/s1\r\n${MAIL}`;
  const cases: { readonly asking: Asking; readonly marks: readonly string[] }[] = [
    {
      asking: { params: { OPESBYPASS: '*', OPESAUTH: true } },
      marks: ['bypassed;bypass=honoured', 'unchanged;bypass=refused;why=never', 'bypassed;bypass=honoured'],
    },
    {
      asking: { params: { OPESAUTH: true }, rcptParams: { OPESBYPASS: 'http://svc.example/s3' } },
      marks: ['unchanged', 'unchanged', 'bypassed;bypass=honoured'],
    },
    {
      asking: { params: { OPESAUTH: true }, message: field },
      marks: ['bypassed;bypass=honoured', 'unchanged', 'unchanged'],
    },
    {
      asking: { params: { OPESBYPASS: '*' } },
      marks: [
        'unchanged;bypass=refused;why=authority',
        'unchanged;bypass=refused;why=never',
        'unchanged;bypass=refused;why=authority',
      ],
    },
    { asking: { message: field }, marks: ['unchanged;bypass=refused;why=authority', 'unchanged', 'unchanged'] },
  ];
  for (const { asking, marks } of cases) {
    const { result, calls } = await adapt(services, {}, {}, undefined, asking);
    assert.equal(result.kind, 'release');
    const text = Buffer.concat(await load(result.content, 0, result.content.size)).toString('latin1');
    const found = [...text.replaceAll(/\r\n\t/g, ' ').matchAll(/svc\.example\/s\d;outcome=([^,\r]*)/g)].map(
      (m) => m[1],
    );
    assert.deepEqual(found, marks);
    assert.equal(calls, marks.filter((mark) => !mark.startsWith('bypassed')).length);
  }
});

test('a header section that services made longer than a client may send is read to its end', async () => {
  const filler = `X-Filler: ${'x'.repeat(88)}\r\n`.repeat(700);
  const message = `${filler}OPES-Bypass: http://svc.example/s1\r\n${MAIL}`;
  const { calls } = await adapt([allowed, allowed], {}, {}, undefined, { params: { OPESAUTH: true }, message });
  assert.equal(calls, 1);
});

test('recipients who ask for different things are not adapted together', async () => {
  const services = [allowed];
  const params = { OPESAUTH: true } as const;
  const { keys: one } = await adapt(services, {}, {}, undefined, { params, rcptParams: { OPESBYPASS: '*' } });
  const { keys: other } = await adapt(services, {}, {}, undefined, { params });
  assert.notEqual(one, other);
});

test('recipients whose requests are refused are adapted together, whatever they name: it costs a mark', async () => {
  const asks = (uri: string): Asking => ({ rcptParams: { OPESBYPASS: uri } });
  const { keys: one } = await adapt([allowed], {}, {}, undefined, asks('urn:x:1'));
  const { keys: other } = await adapt([allowed], {}, {}, undefined, asks('urn:x:2'));
  assert.equal(one, other);
});

test('a service that the request came too late for stays when the mail goes on (decision 0050)', async () => {
  const asking = { params: { OPESBYPASS: '*', OPESAUTH: true } } as const;
  const { result, calls } = await adapt([allowed, allowed], { service: 's1', late: ['s1'] }, {}, undefined, asking);
  assert.equal(result.kind, 'release');
  const text = Buffer.concat(await load(result.content, 0, result.content.size)).toString('latin1');
  assert.match(text, /s1;outcome=unchanged;bypass=late,\s+http:\S+s2;outcome=bypassed;bypass=honoured\r\n/);
  assert.equal(calls, 1);
});

test('what a service makes of the envelope leaves the requests in it', async () => {
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      const to = '<n@new.example>';
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [Buffer.from(to)], to.length);
    },
  };
  const asking = { params: { OPESBYPASS: 'urn:x:y' }, rcptParams: { OPESBYPASS: 'urn:x:z', NOTIFY: 'NEVER' } };
  const { result } = await adapt([{ bypassable: 'never', script }], {}, {}, undefined, asking);
  assert.equal(result.kind, 'release');
  assert.deepEqual(result.rewritten?.get(0), {
    to: { path: 'n@new.example', params: { OPESBYPASS: 'urn:x:z' }, destination: 'new.example' },
  });
});

test('what an operator lets out past a service is his doing, whatever the mail asks without authority', async () => {
  const { result } = await adapt([allowed], { isReleased: true }, {}, undefined, { params: { OPESBYPASS: '*' } });
  assert.equal(result.kind, 'release');
  const text = Buffer.concat(await load(result.content, 0, result.content.size)).toString('latin1');
  assert.match(text, /s1;outcome=bypassed\r\n/);
});

test('what failed and was skipped runs again where a service still to run builds on it, and else not (decision 0058)', async () => {
  const skip: Service = { bypassable: 'allowed', onFailure: 'skip' };
  const via: readonly ViaEntry[] = ['s1', 's2', 's3'].map((name) => ({
    uri: `http://svc.example/${name}`,
    outcome: 'skipped',
    reason: 'unreachable',
    bypass: undefined,
  }));
  const notes: DeliveryNotes = { service: 's4', via };
  const before = 's1 skipped, s2 skipped, s3 skipped';
  for (const [builtOn, after] of [
    [[], 's4 unchanged'],
    [['s1'], 's1 unchanged, s4 unchanged'],
    [['s2'], 's1 unchanged, s2 unchanged, s4 unchanged'],
  ] as const) {
    const services: Service[] = [skip, { ...skip, buildsOn: ['s1'] }, skip, { ...skip, buildsOn: builtOn }];
    assert.equal((await run(services, notes)).outcomes.join(', '), `${before}, ${after}`);
  }
  // What ended well then is not run again.
  const [first, ...others] = via as [ViaEntry, ...ViaEntry[]];
  const well: DeliveryNotes = { service: 's4', via: [{ ...first, outcome: 'edited', reason: undefined }, ...others] };
  const services: Service[] = [skip, { ...skip, buildsOn: ['s1'] }, skip, { ...skip, buildsOn: ['s2'] }];
  assert.equal(
    (await run(services, well)).outcomes.join(', '),
    's1 edited, s2 skipped, s3 skipped, s2 unchanged, s4 unchanged',
  );
});

test('where it fails again, so does what builds on it, by its own policy', async () => {
  const skip: Service = { bypassable: 'allowed', onFailure: 'skip', script: undefined };
  const notes: DeliveryNotes = {
    service: 's2',
    via: [{ uri: 'http://svc.example/s1', outcome: 'skipped', reason: 'unreachable', bypass: undefined }],
  };
  const { result, calls } = await adapt([skip, { ...allowed, onFailure: 'spool', buildsOn: ['s1'] }], notes);
  assert.equal(result.kind, 'later');
  assert.deepEqual(result.by, { service: 's2', because: 'failure', isOnContent: false });
  assert.equal(calls, 0);
});
