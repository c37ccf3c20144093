import assert from 'node:assert/strict';
import { test } from 'vitest';
import { rigWith } from '../../../test/support/scripted-services.ts';
import type { Plan } from '../dispatch/dispatcher.ts';
import { MailBypass } from './mail-bypass.ts';

const SYSTEM = 'https://mail.example.com/opes';
const allowed = { bypassable: 'allowed' } as const;
const { dispatcher } = rigWith([{ adaptive: [] }, { adaptive: [] }], { each: [allowed, {}] }).rig.world;
const FACTS = {
  client: { ip: '', name: '', tls: false },
  session: { helo: '', authenticated: false, user: '' },
  listener: { name: 'mx', side: 'sender' },
  sender: { address: '', local: '', domain: '' },
} as const;
const PLAN = dispatcher.atRecipient(FACTS, { address: 'b@c', local: 'b', domain: 'c' }) as Plan;

test('who may changes the plan, and so the variant; who may not leaves marks and the variant as it is', () => {
  const may = new MailBypass(SYSTEM, dispatcher, { isAuthorised: true, who: 'login a' }, '*').plan(PLAN);
  assert.deepEqual([PLAN.services, may.services], ['++', 'b+']);
  assert.deepEqual(
    may.calls.map(({ bypass, bypassedBy }) => [bypass, bypassedBy]),
    [
      ['honoured', 'OPESBYPASS of login a'],
      ['never', undefined],
    ],
  );
  const mayNot = new MailBypass(SYSTEM, dispatcher, { isAuthorised: false, who: 'peer b' }, '*').plan(PLAN);
  assert.equal(mayNot.services, PLAN.services);
  assert.deepEqual(
    mayNot.calls.map(({ bypass }) => bypass),
    ['authority', 'never'],
  );
});

test('a request for all recipients is judged once for each plan, however many recipients there are', () => {
  const uris = Array.from({ length: 50 }, (_, i) => `http://svc.example/s1?n=${i}`);
  const bypass = new MailBypass(SYSTEM, dispatcher, { isAuthorised: true, who: 'login a' }, uris);
  assert.equal(bypass.plan(PLAN), bypass.plan(PLAN));
  assert.deepEqual(
    bypass.plan(PLAN, ['urn:x:y']).calls.map(({ bypass: fate }) => fate),
    ['honoured', 'never'],
  );
});

test('the log has who asked and what, of single recipients the first', () => {
  const bypass = new MailBypass(SYSTEM, dispatcher, { isAuthorised: false, who: 'peer b' }, undefined);
  assert.equal(bypass.text, undefined);
  assert.equal(bypass.plan(PLAN), PLAN);
  bypass.plan(PLAN, ['urn:x:1']);
  bypass.plan(PLAN, ['urn:x:2']);
  assert.equal(bypass.text, 'urn:x:1 by peer b, who may not');
});
