/** How much clients can have services asked about at a time, over however many sessions (decision 0059). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { askedSession, says, turns } from '../../../test/support/asked-services.ts';
import { SessionClient } from '../../../test/support/session-client.ts';
import { InquiryPlaces } from './inquiry-places.ts';

const CROWDED = /^451-4\.4\.5 Too many commands are being checked; try again later\|451 4\.4\.5 OPES-System: /;

/** Says nothing of whatever begins with `hold`. */
function held(limits: { readonly inquiries: number; readonly inquiriesPerPeer: number }) {
  const counted: string[] = [];
  const made = askedSession([says((_, text) => (text.startsWith('hold') ? 'nothing' : undefined))]);
  const { world } = made.rig;
  world.inquiries.resize(limits);
  (world as { metrics: typeof world.metrics }).metrics = {
    ...world.metrics,
    count: (name, labels = {}) => {
      if (name === 'opes_commands_total') counted.push(`${labels['command']} ${labels['outcome']}`);
    },
  };
  const from = (remoteAddress: string): SessionClient => new SessionClient(made.rig, {}, {}, { remoteAddress });
  return { ...made, from, counted, asked: () => made.parts().map((all) => all.at(-1)) };
}

test('one peer has so many look-ups under way, over all its sessions; nobody is asked about more, and none passes unasked', async () => {
  const { from, asked, counted, lines } = held({ inquiries: 10, inquiriesPerPeer: 2 });
  for (const n of [1, 2]) from('192.0.2.7').send(`VRFY hold${n}\r\n`);
  await turns();
  for (const command of ['VRFY three', 'EXPN four']) assert.match(await from('192.0.2.7').say(command), CROWDED);
  assert.deepEqual(asked(), ['VRFY hold1', 'VRFY hold2']);
  assert.match(await from('192.0.2.8').say('VRFY five'), /^252 /);
  assert.deepEqual(counted, ['VRFY crowded', 'EXPN crowded', 'VRFY passed']);
  const [line] = lines('command');
  assert.deepEqual(
    [line?.['client'], line?.['outcome'], String(line?.['reply']).slice(0, 9)],
    ['192.0.2.7', 'crowded', '451 4.4.5'],
  );
});

test('an IPv6 peer is a network of 64 bits', async () => {
  const { from } = held({ inquiries: 10, inquiriesPerPeer: 1 });
  from('2001:db8::1').send('VRFY hold\r\n');
  await turns();
  assert.match(await from('2001:db8::2').say('VRFY x'), CROWDED);
  assert.match(await from('2001:db8:0:1::2').say('VRFY x'), /^252 /);
});

test('all clients together have so many, and look-ups take no place from greetings, nor these from them', async () => {
  const { from, client } = held({ inquiries: 2, inquiriesPerPeer: 2 });
  const sayAt = async (address: string, command: string): Promise<string> => from(address).say(command);
  for (const n of [1, 2]) from(`192.0.2.${n}`).send('EXPN hold\r\n');
  await turns();
  assert.match(await sayAt('192.0.2.3', 'VRFY x'), CROWDED);
  assert.match(await sayAt('192.0.2.3', 'EHLO x'), /^250-/);
  for (const n of [4, 5]) from(`192.0.2.${n}`).send('EHLO hold\r\n');
  await turns();
  assert.match(await sayAt('192.0.2.6', 'EHLO x'), CROWDED);
  // A greeting that was not taken leaves the session without one, and may come again.
  assert.match(await client.say('HELO x'), CROWDED);
  assert.match(await client.say('MAIL FROM:<a@src.example>'), /^503 /);
});

test('a place is free again however the command ended', async () => {
  const { from, rig } = held({ inquiries: 1, inquiriesPerPeer: 1 });
  const isFree = async (how: string): Promise<void> => {
    assert.match(await from('192.0.2.9').say('VRFY x'), /^252 /, how);
  };
  await isFree('at first');
  await isFree('answered');
  const gone = from('192.0.2.1');
  gone.send('VRFY hold\r\n');
  await turns();
  assert.match(await from('192.0.2.2').say('VRFY x'), CROWDED);
  gone.hangUp();
  await isFree('the client is gone');
  const slow = from('192.0.2.1');
  slow.send('VRFY hold\r\n');
  await turns();
  rig.world.deadlines.tick(rig.world.deadlines.nowMs + 6000);
  assert.match((await slow.replies(1))[0] ?? '', /^451-4\.7\.1 /);
  await isFree('the service took too long');
  const { metrics } = rig.world;
  (rig.world as { metrics: typeof metrics }).metrics = {
    ...metrics,
    count: () => {
      throw new Error('a fault of ours');
    },
  };
  assert.match(await from('192.0.2.1').say('VRFY x'), /^451[- ]4\.3\.0 /);
  (rig.world as { metrics: typeof metrics }).metrics = metrics;
  await isFree('a fault of ours');
});

test('other limits hold at once, and who is in stays', () => {
  const places = new InquiryPlaces({ inquiries: 2, inquiriesPerPeer: 2 });
  assert.ok(places.enter('VRFY', 'a') && places.enter('EXPN', 'a'));
  places.resize({ inquiries: 3, inquiriesPerPeer: 1 });
  assert.equal(places.enter('VRFY', 'a'), false);
  assert.equal(places.enter('VRFY', 'b'), true);
  assert.equal(places.enter('VRFY', 'c'), false);
  places.leave('VRFY', 'a');
  assert.equal(places.enter('VRFY', 'a'), false);
  places.leave('EXPN', 'a');
  assert.equal(places.enter('VRFY', 'a'), true);
});
