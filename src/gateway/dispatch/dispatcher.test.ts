import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MemoryCallouts, serviceOptions } from '../../../test/support/memory-callout.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { type Log, silentLog } from '../../base/index.ts';
import { CalloutService } from '../callouts/callout-service.ts';
import type { DecisionRecord, FailureAction, PipelineEntry, RouteOptions } from '../options.ts';
import { makeRuleEngine } from '../rules/index.ts';
import { Dispatcher, matchesDomain } from './dispatcher.ts';
import type { MailFacts } from './facts.ts';

const FACTS: MailFacts = {
  client: { ip: '192.0.2.1', name: '', tls: false },
  session: { helo: 'client.example', authenticated: false, user: '' },
  listener: { name: 'mx', side: 'recipient' },
  sender: { address: 'a@src.example', local: 'a', domain: 'src.example' },
};
const TEMPFAIL: FailureAction = 'tempfail';
const onFailure = { timeout: TEMPFAIL, unreachable: TEMPFAIL, crash: TEMPFAIL, invalid: TEMPFAIL, overload: TEMPFAIL };

function recipient(address: string) {
  const [local = '', domain = ''] = address.split('@');
  return { address, local, domain };
}

function route(to: string, port: number): RouteOptions {
  return plainRoute(to, 'hop', port);
}

function dispatcher(
  rules: readonly (string | undefined)[],
  routes = [route('*', 25)],
  log: Log = silentLog,
): Dispatcher {
  const engine = makeRuleEngine();
  const { world } = new MemoryCallouts();
  const steps = rules.map((when, index) => {
    const service = new CalloutService(serviceOptions(`s${index}`, new Set(), [1]), world);
    const compiled = when === undefined ? undefined : engine.compile(when);
    if (compiled !== undefined && 'error' in compiled) throw new Error(compiled.error.message);
    const entry: PipelineEntry = {
      service: service.name,
      when,
      requires: new Set(),
      buildsOn: [],
      onFailure,
      timeoutMs: 1000,
    };
    return { index, entry, service, rule: compiled?.ok };
  });
  return new Dispatcher(routes, steps, log);
}

test('a route matches a domain, what is below one, or everything; the first that does is taken', () => {
  assert.ok(matchesDomain('example.com', 'example.com'));
  assert.ok(!matchesDomain('example.com', 'mx.example.com'));
  assert.ok(matchesDomain('.example.com', 'mx.example.com'));
  assert.ok(!matchesDomain('.example.com', 'example.com'));
  assert.ok(!matchesDomain('.example.com', 'badexample.com'));
  const decides = dispatcher([], [route('a.example', 1), route('.example', 2)]);
  assert.equal(decides.atRecipient(FACTS, recipient('x@a.example'))?.route.to, 'a.example');
  assert.equal(decides.atRecipient(FACTS, recipient('x@b.example'))?.route.to, '.example');
  assert.equal(decides.atRecipient(FACTS, recipient('x@other.test')), undefined);
});

test('recipients share a plan exactly if route and services are the same', () => {
  const decides = dispatcher(["recipient.local == 'vip'", undefined], [route('a.example', 1), route('*', 2)]);
  const plan = (address: string) => decides.atRecipient(FACTS, recipient(address));
  assert.equal(plan('x@a.example'), plan('y@a.example'));
  assert.notEqual(plan('x@a.example')?.services, plan('vip@a.example')?.services);
  assert.notEqual(plan('x@a.example')?.route, plan('x@b.example')?.route);
  assert.deepEqual(
    plan('x@a.example')?.calls.map(({ step }) => step.index),
    [1],
  );
});

test('MAIL is shown to leading services only, up to the first whose rule needs more than MAIL', () => {
  const decides = dispatcher([
    undefined,
    "sender.domain == 'src.example'",
    "sender.domain == 'no'",
    "recipient.local == 'x'",
    undefined,
  ]);
  assert.deepEqual(
    decides.atMail(FACTS).map(({ index }) => index),
    [0, 1],
  );
});

test('a rule on the message stays open until the message is there', () => {
  const decides = dispatcher(['message.size > 100']);
  const [call] = decides.atRecipient(FACTS, recipient('x@a.example'))?.calls ?? [];
  assert.ok(call?.isOpen);
  const message = (size: number) => ({ size, header: Buffer.alloc(0), encrypted: false, signed: false });
  assert.equal(decides.atData(call.step, FACTS, recipient('x@a.example'), message(50)), false);
  assert.equal(decides.atData(call.step, FACTS, recipient('x@a.example'), message(500)), true);
});

test('a rule that cannot be judged counts as true, and the log says why', () => {
  const warned: unknown[] = [];
  const log: Log = { ...silentLog, warn: (event, fields) => warned.push([event, fields?.['effect']]) };
  const decides = dispatcher(['100 / message.size > 5'], undefined, log);
  const [call] = decides.atRecipient(FACTS, recipient('x@a.example'))?.calls ?? [];
  const message = { size: 0, header: Buffer.alloc(0), encrypted: false, signed: false };
  assert.ok(call);
  assert.equal(decides.atData(call.step, FACTS, recipient('x@a.example'), message), true);
  assert.deepEqual(warned, [['rule.unjudged', 'called']]);
});

test('the decision can be printed: one line a step, with its reason', () => {
  const decisions: DecisionRecord[] = [];
  dispatcher([undefined, "listener.side == 'sender'", 'message.signed']).atRecipient(
    FACTS,
    recipient('x@a.example'),
    decisions,
  );
  assert.deepEqual(
    decisions.map(({ service, stage, called, because }) => `${service} ${stage} ${called} ${because}`),
    [
      's0 recipient true no rule',
      "s1 recipient false rule false: listener.side == 'sender'",
      's2 data true judged on the message: message.signed',
    ],
  );
});

test('what was open can be printed when the message is there, for each recipient', () => {
  const rule = "recipient.local == 'x' && message.size > 100";
  const decides = dispatcher([undefined, rule]);
  const message = { size: 500, header: Buffer.alloc(0), encrypted: false, signed: false };
  assert.deepEqual(
    ['x@a.example', 'y@a.example']
      .flatMap((to) => decides.decideAtData(FACTS, recipient(to), message))
      .map((one) => `${one.service} ${one.stage} ${one.recipient} ${one.called} ${one.because}`),
    [`s1 data x@a.example true rule true: ${rule}`, `s1 data y@a.example false rule false: ${rule}`],
  );
});
