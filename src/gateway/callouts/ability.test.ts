/** Whether a server has our service, asked as the connection comes up (decision 0064). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MemoryCallouts, serviceOptions } from '../../../test/support/memory-callout.ts';
import { type Log, silentLog } from '../../base/index.ts';
import { ProcessorAgent, type ProcessorEvents, type ProcessorOptions } from '../../ocp/index.ts';
import type { CalloutChannel, CalloutWorld, OpenedChannel } from './callout-channel.ts';
import { CalloutService } from './callout-service.ts';

const PROFILE = '"38:http://iana.org/opes/ocp/SMTP/receiver"';
const QUERY = `AQ {${PROFILE}}\r\nServices: ({"21:http://svc.example/s1"})\r\n;\r\n`;
const UNKNOWN = 'AA false\r\nCause: service-unknown\r\n;\r\n';

/** What a peer does at AQ: octets it says, or the end of the connection. */
type AtQuery = { readonly says: string } | 'dies' | 'says CE';

/** A server that is nothing but its words; one connection after the other behaves as `atQuery` says. */
class Peer {
  atQuery: AtQuery;
  /** What the gateway said on each connection. */
  readonly heard: string[] = [];
  /** The processor's end of the last one. */
  agent: ProcessorAgent | undefined;
  readonly events: string[] = [];
  readonly service: CalloutService;

  constructor(atQuery: AtQuery) {
    this.atQuery = atQuery;
    const { world } = new MemoryCallouts();
    const note = (event: string): number => this.events.push(event);
    const log: Log = { ...silentLog, info: note, warn: note };
    const openChannel: CalloutWorld['openChannel'] = (_, options, events) => this.#open(options, events);
    this.service = new CalloutService(serviceOptions('s1', new Set(['refuse']), [1]), { ...world, log, openChannel });
    this.service.start();
  }

  /** Waits until `is` holds; octets move in turns of the event loop. */
  async until(is: () => boolean): Promise<void> {
    for (let turns = 0; !is(); turns++) {
      assert.ok(turns < 1000, `${this.heard.join('---\n')}\n${this.events.join(' ')}`);
      await new Promise(setImmediate);
    }
  }

  /** So many connections have been made, the last one is negotiated, and what was said behind that has been heard. */
  async comesUp(connections: number): Promise<void> {
    await this.until(() => /^SGC/m.test(this.heard[connections - 1] ?? ''));
    await new Promise(setImmediate);
  }

  #open(options: ProcessorOptions, events: ProcessorEvents): OpenedChannel {
    const at = this.heard.push('') - 1;
    const agent = new ProcessorAgent(options, {
      onSelected: (feature, details) => events.onSelected(feature, details),
      onReady: () => events.onReady(),
      onAbility: (supported, named) => events.onAbility?.(supported, named),
      onEnd: (end) => events.onEnd(end),
      onOutput: () =>
        setImmediate(() => {
          const said = Buffer.concat(agent.outbox.take()).toString('latin1');
          this.heard[at] += said;
          if (/^NO/m.test(said)) say(`CS;\r\nNR {${PROFILE}\r\nAdaptive-Parts: (RCPT)\r\n};\r\n`);
          if (/^AQ/m.test(said)) this.#answer(agent, say);
        }),
    });
    const say = (wire: string): void => agent.recv(Buffer.from(wire, 'latin1'));
    this.agent = agent;
    setImmediate(() => agent.start());
    return { agent, close: () => agent.close() };
  }

  #answer(agent: ProcessorAgent, say: (wire: string) => void): void {
    if (this.atQuery === 'dies') agent.transportEnded('reset');
    else if (this.atQuery === 'says CE') say('CE {400};\r\n');
    else say(this.atQuery.says);
  }
}

test('asked once, ahead of the first mail, which waits for no answer; who lacks it is not ready, and told once', async () => {
  const peer = new Peer({ says: '' });
  const { service, events } = peer;
  let started = 0;
  const onChannel: Parameters<CalloutService['take']>[0]['onChannel'] = ({ agent }) => {
    agent?.startTransaction({ onEnd() {} } as never);
    started++;
  };
  service.take({ onChannel, onNoChannel: assert.fail }, undefined);
  await peer.until(() => started === 1);
  await peer.comesUp(1);
  const said = peer.heard[0] ?? '';
  assert.equal(
    said.slice(said.indexOf('SGC')),
    `SGC 1 ({"21:http://svc.example/s1"});\r\n${QUERY}TS 1 1;\r\n`,
    'in one breath, and no transaction but the mail',
  );
  assert.equal(service.isReady, true, 'taken to have it until it says otherwise');

  peer.agent?.recv(Buffer.from(UNKNOWN));
  peer.agent?.recv(Buffer.from('TE 1 {400 no\r\nCause: service-unknown\r\n};\r\n'));
  assert.deepEqual([service.isReady, service.readyChannels], [false, 1]);
  assert.match(service.trouble, /knows no service http:\/\/svc\.example\/s1: the uri of services\.s1 must be/);
  assert.deepEqual(events, ['callout.up', 'callout.service-unknown']);
  service.close();
});

test('a connection that comes back is asked anew: the server has the service now', async () => {
  const peer = new Peer({ says: UNKNOWN });
  await peer.comesUp(1);
  assert.equal(peer.service.isReady, false);
  peer.atQuery = { says: 'AA true;\r\n' };
  peer.agent?.transportEnded('restarted');
  await peer.comesUp(2);
  assert.equal(peer.heard[1], peer.heard[0]);
  assert.equal(peer.service.isReady, true);
  // And lacks it after the next restart: that is said again.
  peer.atQuery = { says: UNKNOWN };
  peer.agent?.transportEnded('restarted');
  peer.service.revive();
  await peer.comesUp(3);
  assert.equal(peer.service.isReady, false);
  assert.equal(peer.events.filter((event) => event === 'callout.service-unknown').length, 2);
  peer.service.close();
});

test('answers that say nothing of the service: it is taken to be there', async () => {
  for (const says of [
    'AA true;\r\n',
    'AA false;\r\n',
    'AA false\r\nCause: overload\r\n;\r\n',
    'AA false\r\nCause: elsewhere\r\n;\r\n',
    'AA false\r\nCause: {service-unknown}\r\n;\r\n',
    'AA true\r\nCause: service-unknown\r\n;\r\n',
    '',
    // The second answer is to no question.
    `AA true;\r\n${UNKNOWN}`,
  ]) {
    const peer = new Peer({ says });
    await peer.comesUp(1);
    assert.equal(peer.service.isReady, true, says);
    assert.deepEqual(peer.events, ['callout.up'], says);
    peer.service.close();
  }
});

test('a server that ends for the question has a connection without it, and is asked again behind that', async () => {
  for (const atQuery of ['dies', 'says CE'] as const) {
    const peer = new Peer(atQuery);
    await peer.comesUp(2);
    assert.deepEqual(
      peer.heard.map((said) => said.includes(QUERY)),
      [true, false],
    );
    assert.equal(peer.service.isReady, true);
    peer.atQuery = { says: UNKNOWN };
    peer.agent?.transportEnded('ended');
    peer.service.revive();
    await peer.comesUp(3);
    assert.equal(peer.heard[2]?.includes(QUERY), true);
    assert.equal(peer.service.isReady, false);
    peer.service.close();
  }
});

test('where the connection without it serves a mail, it was the question: it is not asked again', async () => {
  const peer = new Peer('dies');
  await peer.comesUp(2);
  const shown: CalloutChannel[] = [];
  peer.service.take({ onChannel: (channel) => shown.push(channel), onNoChannel: assert.fail }, undefined);
  shown[0]?.serves(true);
  for (const connections of [3, 4]) {
    peer.agent?.transportEnded('idle');
    peer.service.revive();
    await peer.comesUp(connections);
  }
  assert.deepEqual(
    peer.heard.map((said) => said.includes(QUERY)),
    [true, false, false, false],
  );
  peer.service.close();
});

test('a connection that never came up has not shown that it can do without', async () => {
  const peer = new Peer('dies');
  await peer.until(() => peer.heard.length === 2);
  peer.agent?.transportEnded('refused');
  peer.service.revive();
  await peer.comesUp(3);
  assert.deepEqual(
    peer.heard.map((said) => said.includes(QUERY)),
    [true, false, false],
  );
  peer.service.close();
});
