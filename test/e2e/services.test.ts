/**
 * Services of the SDK in processes of their own: `opes serve`, and embedded ones the gateway runs itself. They are killed,
 * throw, exit and are slow, while other mails go on; several endpoints of one service stand in for each other.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, OPES, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const FILE = fileURLToPath(new URL('services/by-subject.ts', import.meta.url));
const URI = 'https://gw.test/opes/by-subject';
const contentOf = (subject: string): Buffer => Buffer.from(`Subject: ${subject}\r\n\r\nbody of ${subject}\r\n`);

let hop: NextHop;
beforeAll(async () => {
  hop = await NextHop.listen();
});
afterAll(async () => {
  await hop.close();
});

let count = 0;
interface Sent {
  readonly code: number;
  readonly to: string;
  readonly subject: string;
  /** The server closed: a session that met nothing but refusals is ended after a while. */
  readonly isOver: boolean;
}
async function send(talk: SmtpTalk, subject: string): Promise<Sent> {
  const to = `m${++count}@dst.test`;
  const outcome = await talk.mail({ from: 'a@src.test', to: [to], content: contentOf(subject) });
  const code = verdict(outcome);
  const isOver = code === 421 || (code !== 250 && (await talk.say('RSET')).code === 421);
  return { code, to, subject, isOver };
}

/** A 250 arrived once, scanned and otherwise untouched; anything else did not arrive. */
function judge(sent: Sent): void {
  const got = hop.mails.filter((m) => m.rcpts.includes(`<${sent.to}>`));
  assert.equal(got.length, sent.code === 250 ? 1 : 0, `${sent.subject}: ${sent.code}, arrived ${got.length} times`);
  for (const mail of got) {
    const { rest } = withoutTrace(mail.content);
    assert.equal(rest.toString('latin1'), `X-Scan: yes\r\n${contentOf(sent.subject).toString('latin1')}`);
  }
}

/** Mails one after the other in several sessions until `isOver`. */
async function stream(port: number, isOver: () => boolean, sessions = 8): Promise<Sent[]> {
  const all: Sent[] = [];
  const one = async (): Promise<void> => {
    let talk = await SmtpTalk.hello(port);
    while (!isOver()) {
      const sent = await send(talk, 'plain');
      all.push(sent);
      if (sent.isOver) talk = await SmtpTalk.hello(port);
    }
    await talk.quit();
  };
  await Promise.all(Array.from({ length: sessions }, one));
  return all;
}
const served = async (port: number): Promise<void> => {
  let talk = await SmtpTalk.hello(port);
  const end = Date.now() + 20_000;
  for (;;) {
    const sent = await send(talk, 'again');
    judge(sent);
    if (sent.code === 250) break;
    if (sent.isOver) talk = await SmtpTalk.hello(port);
    assert.ok(Date.now() < end, 'not served again within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await talk.quit();
};

test('a callout server of ours killed under load: 451 while it is gone, scanned mails before and after', async () => {
  const first = await serve(FILE);
  const gateway = await Gateway.start(
    config(hop.url, { scan: { uri: URI, connect: first.endpoint, requires: ['RAWDATA'], timeout: '5s' } }),
  );
  let over = false;
  const load = stream(gateway.port(), () => over);
  await hop.waitForMails(hop.mails.length + 50);
  await first.child.stop('SIGKILL');
  const port = Number(first.endpoint.split(':').at(-1));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const second = await serve(FILE, port);
  await served(gateway.port());
  over = true;
  const all = await load;
  for (const sent of all) judge(sent);
  assert.ok(all.some((s) => s.code === 451) && all.every((s) => [250, 421, 451].includes(s.code)));
  await gateway.stop();
  assert.deepEqual(await second.child.stop(), { code: 0, signal: null });
});

test('an embedded service: refuses, throws, exits, is slow, is killed; each costs only its own mail', async () => {
  const base = config(hop.url);
  const service = { uri: URI, run: FILE, may: ['refuse', 'add-header'], consent: 'operator' };
  const gateway = await Gateway.start({
    ...base,
    services: { scan: service },
    pipeline: [{ service: 'scan', requires: ['RCPT', 'RAWDATA'], onFailure: 'tempfail', timeout: '5s' }],
  });
  await served(gateway.port());
  const talk = await SmtpTalk.hello(gateway.port());
  const refused = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: contentOf('refuse') });
  assert.equal(refused.content?.code, 550);
  assert.ok(refused.content.lines.includes('5.7.1 Policy P-12'), refused.content.lines.join(' | '));
  assert.equal((await send(talk, 'throw')).code, 451);
  judge(await send(talk, 'after the throw'));

  // A slow handler stalls nobody else.
  const slow = await SmtpTalk.hello(gateway.port());
  const slowOne = send(slow, 'slow');
  const before = Date.now();
  for (let i = 0; i < 20; i++) {
    const sent = await send(talk, 'meanwhile');
    assert.equal(sent.code, 250);
    judge(sent);
  }
  assert.ok(Date.now() - before < 1900, 'twenty mails passed the slow one');
  const waited = await slowOne;
  assert.equal(waited.code, 250);
  judge(waited);
  await slow.quit();

  // The process ends itself in the middle of a mail, and is started again.
  const exited = await send(talk, 'exit');
  assert.equal(exited.code, 451);
  judge(exited);
  await served(gateway.port());

  // And is killed from outside.
  const children = childrenOf(gateway.child.pid);
  assert.ok(children.length > 0, 'the service is a process of its own');
  for (const pid of children) process.kill(pid, 'SIGKILL');
  await served(gateway.port());
  await talk.quit();
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  for (const pid of children) assert.ok(!isAlive(pid));
});

/** A gateway whose embedded service a mail has sent into a loop without end; `looping`: its process. */
async function startLooping(timeout: string): Promise<{ readonly gateway: Gateway; readonly looping: number }> {
  const file = fileURLToPath(new URL('services/loops.ts', import.meta.url));
  const service = { uri: 'https://gw.test/opes/loops', run: file, may: ['add-header'], consent: 'operator' };
  const gateway = await Gateway.start({
    ...config(hop.url),
    services: { loops: service },
    pipeline: [{ service: 'loops', onFailure: 'tempfail', timeout }],
  });
  await served(gateway.port());
  const [looping] = childrenOf(gateway.child.pid);
  assert.ok(looping !== undefined);
  const talk = await SmtpTalk.hello(gateway.port());
  assert.equal((await send(talk, 'loop')).code, 451);
  await talk.quit();
  return { gateway, looping };
}

test('an embedded service in a loop without end is ended and started again', async () => {
  const { gateway, looping } = await startLooping('2s');
  const isSilent = ({ event }: Record<string, unknown>): boolean => event === 'service-silent';
  await gateway.child.until(() => gateway.logs().find(isSilent), 'it is found out', 60_000);
  await served(gateway.port());
  assert.ok(!isAlive(looping));
  await gateway.stop();
});

test('an end waits for a service that a reload is still ending', async () => {
  const { gateway, looping } = await startLooping('1s');
  await gateway.reload(config(hop.url));
  await gateway.stop();
  assert.ok(!isAlive(looping), 'it went before us');
});

test('one rule, one service: bound to a process of the gateway or to a server it comes out equal (REQ-144)', async () => {
  const server = await serve(FILE);
  const outcomes: unknown[] = [];
  for (const place of [{ run: FILE }, { connect: [server.endpoint] }]) {
    const service = { uri: URI, may: ['refuse', 'add-header'], consent: 'operator', ...place };
    const when = "recipient.local != 'free'";
    const gateway = await Gateway.start({
      ...config(hop.url),
      services: { scan: service },
      pipeline: [{ service: 'scan', requires: ['RCPT', 'RAWDATA'], when, onFailure: 'tempfail', timeout: '5s' }],
    });
    await served(gateway.port());
    hop.mails.length = 0;
    const talk = await SmtpTalk.hello(gateway.port());
    const met: unknown[] = [];
    for (const to of ['b@dst.test', 'no@dst.test', 'free@dst.test']) {
      for (const subject of ['plain', 'refuse']) {
        const { rcpts, content } = await talk.mail({ from: 'a@src.test', to: [to], content: contentOf(subject) });
        // Of a reply of ours only the trace line differs: it names the mail.
        const lines = content?.lines.filter((line) => !line.includes('gw.test'));
        met.push([to, subject, rcpts.map(({ code }) => code), content?.code, content?.code === 250 ? [] : lines]);
        await talk.say('RSET');
      }
    }
    await talk.quit();
    await gateway.stop();
    outcomes.push([met, hop.mails.map(({ rcpts, content }) => [rcpts, withoutTrace(content).rest.toString('latin1')])]);
  }
  assert.deepEqual(outcomes[0], outcomes[1]);
  assert.equal((outcomes[0] as unknown[][])[1]?.length, 3, 'of six mails three arrived');
  await server.child.stop();
});

test('two endpoints: one is gone from the start, dies under load, or comes back; nobody notices but by name', async () => {
  const scan = { yours: true, rules: [{ part: 'RAWDATA', addHeader: ['X-Scan: yes'] }] } as const;
  const [a, b] = [await Draft00.start(scan), await Draft00.start(scan)];
  await a.listen(false);
  const gateway = await Gateway.start(
    config(hop.url, { scan: { connect: [a.endpoint, b.endpoint], requires: ['RAWDATA'], timeout: '5s' } }),
  );
  await served(gateway.port());
  let sent = 0;
  for (const one of await stream(gateway.port(), () => ++sent > 100)) {
    assert.equal(one.code, 250, 'one endpoint is enough');
    judge(one);
  }
  await a.listen(true);
  await a.child.until(() => a.child.events('negotiated')[0], 'a connection to the endpoint that came back');
  let over = false;
  const load = stream(gateway.port(), () => over);
  await hop.waitForMails(hop.mails.length + 100);
  await b.stop();
  await hop.waitForMails(hop.mails.length + 100);
  over = true;
  const all = await load;
  for (const one of all) judge(one);
  // What was on the lost connection runs again on the other one (design, D6).
  assert.deepEqual(
    all.filter((s) => s.code !== 250),
    [],
  );
  assert.ok(a.transactions().length > 50);
  await gateway.stop();
  await a.stop();
});

test('permissions: an answer beyond them counts as a failure of the service', async () => {
  const server = await Draft00.start();
  const gateway = await Gateway.start(
    config(hop.url, { scan: { connect: server.endpoint, may: ['add-header'], requires: ['RAWDATA'] } }),
  );
  const talk = await SmtpTalk.hello(gateway.port());
  const rules = [
    { part: 'RAWDATA', error: '550 5.7.1 no' },
    { part: 'RAWDATA', replace: ['body', 'dead'] },
    { part: 'RAWDATA', content: 'Subject: plain\r\nX-New: header\r\n\r\nbody of plain\r\n' },
  ] as const;
  for (const rule of rules) {
    await server.script({ overstep: true, rules: [rule] });
    const sent = await send(talk, 'plain');
    assert.equal(sent.code, 451, JSON.stringify(rule));
    judge(sent);
  }
  await server.script({ rules: [{ part: 'RAWDATA', addHeader: ['X-Scan: yes'] }] });
  await served(gateway.port());
  await talk.quit();
  await gateway.stop();
  await server.stop();
});

test('a service that stalls holds its client back, not our memory, and nobody else (REQ-250)', async () => {
  const stalls = await serve(fileURLToPath(new URL('services/stalls.ts', import.meta.url)));
  const when = "recipient.local == 'large'";
  const services = { stalls: { uri: 'https://gw.test/opes/stalls', connect: stalls.endpoint, timeout: '60s', when } };
  const gateway = await Gateway.start(config(hop.url, services));
  const talk = await SmtpTalk.hello(gateway.port());
  await talk.say('MAIL FROM:<a@src.test>');
  await talk.say('RCPT TO:<large@dst.test>');
  assert.equal((await talk.say('DATA')).code, 354);
  const large = Buffer.alloc(500_000 * 78, `${'x'.repeat(76)}\r\n`);
  talk.socket.write('Subject: large\r\n\r\n');
  talk.socket.write(large);
  const taken = (): number => talk.socket.bytesWritten - talk.socket.writableLength;
  // The kernel takes the write in pieces; where it takes no more for a second, nobody reads.
  for (let before = -1, quiet = 0; quiet < 4 && talk.socket.writableLength > 0; before = taken()) {
    quiet = taken() === before ? quiet + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.ok(talk.socket.writableLength > 0, 'all of it was read');
  const other = await SmtpTalk.hello(gateway.port());
  const small = await send(other, 'plain');
  assert.equal(small.code, 250);
  await other.quit();
  await stalls.child.stop('SIGKILL');
  assert.equal((await talk.say('.')).code, 451);
  await talk.quit();
  await gateway.stop();
});

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
}
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1; // gone in between
  }
}
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a URI that the server does not know: log and /readyz say so before any mail, at the start and at a reload', async () => {
  const server = await serve(FILE);
  const wrong = `${URI}/wrong`;
  const gateway = await Gateway.start(
    config(
      hop.url,
      {
        filter: {
          uri: wrong,
          connect: server.endpoint,
          onFailure: { overload: 'skip', crash: 'skip', '*': 'tempfail' },
        },
      },
      { metrics: { address: '127.0.0.1:0' } },
    ),
  );
  try {
    const fixOf = (uri: string) =>
      `the server at ${server.endpoint} knows no service ${uri}: the uri of services.filter must be the one the service names`;
    const warned = () => gateway.logs().filter(({ event }) => event === 'callout.service-unknown');
    const ready = async () => {
      const answer = await fetch(`${gateway.ready.metrics}readyz`);
      return [answer.status, await answer.text()];
    };
    const notReady = (uri: string) => [
      503,
      `not ready\nservice filter is not served: ${server.endpoint}: ${fixOf(uri)}\n`,
    ];
    await gateway.child.until(() => warned()[0], 'the warning');
    assert.deepEqual(await ready(), notReady(wrong));
    const events = gateway.logs().map(({ event }) => event);
    assert.deepEqual([events.includes('mail'), events.includes('callout.failed')], [false, false]);
    // The log of the server has it, too.
    const said = () => server.child.stderr.filter((line) => line.includes('"service-unknown"'));
    await server.child.until(() => said()[0], 'its own warning');

    const envelope = ['--from', 'a@src.test', '--to', 'b@dst.test'];
    const checked = await run(OPES, ['check', '--config', gateway.file, ...envelope]);
    assert.match(checked.stdout, /filter +failed .* unreachable: TE 400 service not here/);
    assert.ok(checked.stderr.split('\n').includes(`note: ${fixOf(wrong)}`), checked.stderr);
    await server.child.until(() => said()[1], 'a warning of the connection of the check');

    // Mails fail, and nothing is said twice.
    const talk = await SmtpTalk.hello(gateway.port());
    for (let i = 0; i < 2; i++) assert.equal((await send(talk, 'plain')).code, 451);
    const failed = gateway.logs().filter(({ event }) => event === 'callout.failed');
    assert.deepEqual(
      failed.map(({ reason, detail }) => [reason, detail]),
      Array(2).fill(['unreachable', 'TE 400 service not here']),
    );
    assert.deepEqual(
      warned().map((line) => line['fix']),
      [fixOf(wrong)],
    );
    assert.equal(said().length, 2, 'once for the gateway, once for the check');
    assert.deepEqual(await ready(), notReady(wrong));

    // The right one: ready behind an answer, which a mail on the same connection shows to have come.
    const good = readFileSync(gateway.file, 'utf8').replace(wrong, URI);
    await gateway.reload(good);
    const again = await SmtpTalk.hello(gateway.port());
    judge(await send(again, 'plain'));
    assert.deepEqual([await ready(), warned().length], [[200, 'ready\n'], 1]);

    // Misspelt by a reload, otherwise: sessions of the first configuration may still be there, and their channel with them.
    const other = `${URI}/other`;
    await gateway.reload(good.replace(URI, other));
    await gateway.child.until(() => warned()[1], 'another warning');
    assert.deepEqual(await ready(), notReady(other));
  } finally {
    await gateway.stop();
    await server.child.stop();
  }
});

test('URIs that the servers know, and a server that knows nothing of the question: ready, and no warning', async () => {
  const server = await serve(FILE);
  const foreign = await Draft00.start({ adaptive: ['RAWDATA'], yours: true });
  const services = { filter: { uri: URI, connect: server.endpoint }, foreign: { connect: foreign.endpoint } };
  const gateway = await Gateway.start(config(hop.url, services, { metrics: { address: '127.0.0.1:0' } }));
  try {
    // A mail's answers on the same connections show that those to the question have come.
    const talk = await SmtpTalk.hello(gateway.port());
    judge(await send(talk, 'plain'));
    assert.equal((await fetch(`${gateway.ready.metrics}readyz`)).status, 200);
    assert.deepEqual(
      gateway.logs().filter(({ event }) => event === 'callout.service-unknown' || event === 'callout.down'),
      [],
    );
    assert.equal(foreign.transactions().length, 1, 'the question was none of its transactions');
  } finally {
    await gateway.stop();
    await server.child.stop();
    await foreign.stop();
  }
});
